"""An engine that works off a list, with Python's standard library only.

    python3 engine.py                       creates an LTM, prints its id, and works
    python3 engine.py --ltm 1               goes on with LTM 1 where it was left, after a crash for instance

It can be ended and started at any moment. A step's key says which state it was decided on: however often it is sent, and
by whichever engine, it lands once. An engine that is started later has a higher epoch; once that one has written, the
earlier one is refused, and ends.
"""

import argparse
import http.client
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
import uuid

TRIES = 10
LONGEST_WAIT = 5.0
# Whether the call has landed is not known then.
LOST = (OSError, http.client.HTTPException, json.JSONDecodeError)


class Refused(Exception):
    """The service has answered, and will not answer otherwise when it is asked again."""

    def __init__(self, problem):
        super().__init__(problem.get("detail", problem))
        self.kind = problem.get("type", "").rpartition(":")[2]


class Service:
    def __init__(self, url, producer):
        self.url = url.rstrip("/") + "/api/v0/ltm"
        self.producer = producer

    def create(self, ltm):
        return self.ask("", ltm, {"Idempotency-Key": str(uuid.uuid4())})["id"]

    def append(self, ltm, snapshot, cursor):
        """Appends what was decided on the state at a cursor: once, and only where the LTM is still there."""
        return self.ask(f"/{ltm}/snapshots", snapshot, {
            "Idempotency-Key": f"after {cursor}",
            "If-Match": f'"{cursor}"',
            "Ltm-Producer": self.producer,
        })

    def state(self, ltm):
        return self.ask(f"/{ltm}/state")

    def ask(self, path, body=None, headers={}):
        """Sends a call until it is answered, always the same and under the same key."""
        headers = {"Content-Type": "application/json", **headers}
        data = None if body is None else json.dumps(body).encode()
        for tried in range(1, TRIES + 1):
            asked = 0.0
            try:
                request = urllib.request.Request(self.url + path, data, headers)
                with urllib.request.urlopen(request, timeout=30) as response:
                    return json.load(response)
            except urllib.error.HTTPError as answer:
                if answer.code < 500 and answer.code not in (408, 429):
                    raise Refused(json.load(answer)) from None
                failure, asked = answer, float(answer.headers.get("Retry-After", 0))
            except LOST as error:
                failure = error
            if tried == TRIES:
                raise failure
            wait = asked + random.uniform(0, min(0.1 * 2**tried, LONGEST_WAIT))
            print(f"{failure}; trying again", file=sys.stderr)
            time.sleep(wait)


def work(service, ltm):
    """Does what the state says is to be done. The state is all that it remembers."""
    while True:
        now = service.state(ltm)
        if not now["state"].get("todo"):
            return
        task = now["state"]["todo"][0]
        result = f"{task} is done"  # here goes the work itself
        patch = [
            {"op": "remove", "path": "/todo/0"},
            {"op": "add", "path": "/done/-", "value": {"task": task, "result": result}},
        ]
        try:
            snapshot = {"reason": "execute", "item": {"task": task}, "patch": patch}
            written = service.append(ltm, snapshot, now["cursor"])
            print(f"{written['index']} {task}", flush=True)
        except Refused as problem:
            # Somebody else has written, or an engine before this one: look again at what is to be done.
            if problem.kind not in ("cursor-mismatch", "key-reused"):
                raise


def main():
    options = argparse.ArgumentParser(description="An engine that works off a list")
    options.add_argument("tasks", nargs="*", default=["plan", "write", "check"], help="what is to be done")
    options.add_argument("--url", default=os.environ.get("LTM_URL", "http://localhost:8000"))
    options.add_argument("--ltm", type=int, help="the LTM to go on with, instead of a new one")
    options.add_argument("--name", default="engine", help="whoever takes this engine's place has the same name")
    options.add_argument("--epoch", type=int, default=int(time.time()), help="higher at each start; the time as it is now")
    args = options.parse_args()
    service = Service(args.url, f"{args.name};epoch={args.epoch}")
    try:
        ltm = args.ltm
        if ltm is None:
            state = {"todo": args.tasks, "done": []}
            ltm = service.create({"fqn": "examples.Engine", "name": "engine", "state": state})
            print(f"LTM {ltm}", flush=True)
        work(service, ltm)
    except Refused as problem:
        print(f"{problem.kind}: {problem}", file=sys.stderr)
        return 3 if problem.kind == "fenced" else 1
    except LOST as failure:
        print(f"{args.url} does not answer: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
