"""An engine that processes a list of tasks, with only Python's standard library.

    python3 engine.py                       creates an LTM, prints its id, and processes the tasks
    python3 engine.py --ltm 1               resumes LTM 1, for example after a crash

You can stop and start it at any moment. The key of a step names the state that the step was decided on, so the step lands
once, however often and by whichever engine it is sent. A later engine has a higher epoch. Once it has written, the service
rejects the earlier engine, which then exits.
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
# After one of these errors, the call may or may not have landed.
LOST = (OSError, http.client.HTTPException, json.JSONDecodeError)


class Refused(Exception):
    """The service rejected the call. A retry gives the same answer."""

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
        """Appends a step that was decided at a cursor: once, and only if the LTM is still at that cursor."""
        return self.ask(f"/{ltm}/snapshots", snapshot, {
            "Idempotency-Key": f"after {cursor}",
            "If-Match": f'"{cursor}"',
            "Ltm-Producer": self.producer,
        })

    def state(self, ltm):
        return self.ask(f"/{ltm}/state")

    def ask(self, path, body=None, headers={}):
        """Sends the same call, under the same key, until it is answered."""
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
            print(f"{failure}; retrying", file=sys.stderr)
            time.sleep(wait)


def work(service, ltm):
    """Processes the tasks in the state. The engine remembers nothing else."""
    while True:
        now = service.state(ltm)
        if not now["state"].get("todo"):
            return
        task = now["state"]["todo"][0]
        result = f"{task} is done"  # the real work goes here
        patch = [
            {"op": "remove", "path": "/todo/0"},
            {"op": "add", "path": "/done/-", "value": {"task": task, "result": result}},
        ]
        try:
            snapshot = {"reason": "execute", "item": {"task": task}, "patch": patch}
            written = service.append(ltm, snapshot, now["cursor"])
            print(f"{written['index']} {task}", flush=True)
        except Refused as problem:
            # Another program has written, or an earlier engine: read the state again.
            if problem.kind not in ("cursor-mismatch", "key-reused"):
                raise


def main():
    options = argparse.ArgumentParser(description="An engine that processes a list of tasks")
    options.add_argument("tasks", nargs="*", default=["plan", "write", "check"],
                         help="the tasks of a new LTM (default: plan write check)")
    options.add_argument("--url", default=os.environ.get("LTM_URL", "http://localhost:8000"),
                         help="where the services are (default: LTM_URL, or http://localhost:8000)")
    options.add_argument("--ltm", type=int, help="the LTM to resume, instead of a new one")
    options.add_argument("--name", default="engine",
                         help="the producer's name; an engine that replaces this one has the same name")
    options.add_argument("--epoch", type=int, default=int(time.time()),
                         help="higher at each start (default: the current time in seconds)")
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
        print(f"no answer from {args.url}: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
