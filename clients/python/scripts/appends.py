"""Measures what an append costs with this package, beside a bare `http.client` loop in the same run.

    python scripts/appends.py [--appends 1000] [--rounds 5]

It starts `ltm dev`. The two loops take turns, so that both meet the same load of the machine; the best round counts.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
import uuid
from collections.abc import Callable

from ltm_live import Client
from ltm_live.testing import Server


def bare(server: Server, appends: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def ask(path: str, body: object) -> dict[str, object]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        connection.request("POST", path, json.dumps(body).encode(), headers)
        answer: dict[str, object] = json.loads(connection.getresponse().read())
        return answer

    ltm = ask("/api/v0/ltm", {"fqn": "bench.Bare", "state": {"n": 0}})["id"]
    path = f"/api/v0/ltm/{ltm}/snapshots"
    return timed(appends, lambda n: ask(path, {"reason": "execute", "merge": {"n": n}}))


def packaged(server: Server, appends: int) -> float:
    with Client(server.url) as client:
        ltm = client.create("bench.Client", state={"n": 0})
        return timed(appends, lambda n: ltm.append("execute", merge={"n": n}))


def timed(appends: int, append: Callable[[int], object]) -> float:
    append(-1)
    begun = time.perf_counter()
    for n in range(appends):
        append(n)
    return time.perf_counter() - begun


def main() -> None:
    options = argparse.ArgumentParser(description="What an append costs")
    options.add_argument("--appends", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=5)
    args = options.parse_args()
    with Server() as server:
        rounds = [(bare(server, args.appends), packaged(server, args.appends)) for _ in range(args.rounds)]
    for name, index in (("http.client", 0), ("ltm_live.Client", 1)):
        times = [round[index] / args.appends * 1e6 for round in rounds]
        print(f"{name:16} {min(times):7.0f} µs per append (median {statistics.median(times):.0f})")
    print(f"ratio of the best {min(r[1] for r in rounds) / min(r[0] for r in rounds):.2f}", end=", ")
    print(f"median of the rounds {statistics.median(r[1] / r[0] for r in rounds):.2f}")


if __name__ == "__main__":
    main()
