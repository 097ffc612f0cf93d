"""Holds the services against the descriptions that they give of themselves.

Starts `ltm dev`, then checks that
  - /docs/openapi.json and /docs/asyncapi.json are what they say they are, by the official schemas;
  - the table of calls in README.md and the description have the same calls;
  - each example of a call is what the service answers, and each example fits its schema;
  - each answer and each message that is really sent fits its schema, and has no member that the schema lacks;
  - whatever schemathesis makes of the description is answered as described.
"""

import asyncio
import copy
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

import jsonschema
import websockets
from openapi_spec_validator import OpenAPIV31SpecValidator

import examples

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 30
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ERROR_ID = "6f6c1d7e-4c53-4a6b-9e0e-0d3a8c1b2f4d"


class Service:
    """`ltm dev` on a free port, with data of its own."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        binary = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/ltm"
        command = [binary, "dev", "--listen", "127.0.0.1:0", "--data-dir", self.folder.name]
        self.process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            # Most of the statuses that schemathesis waits for never come.
            env={**os.environ, "LTM__LOG__FORMAT": "json", "LTM__API__MAX_WAIT": "50ms"},
        )
        for line in self.process.stderr:
            if '"message":"listening"' in line:
                self.url = "http://" + json.loads(line)["address"]
                break
        else:
            sys.exit("ltm dev does not start")
        # Its log must not fill the pipe.
        self.rest = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(LIMIT)
        self.rest.wait(LIMIT)
        self.folder.cleanup()

    def ask(self, method, path, body=None, headers=(), trace=True):
        """The status and the JSON of an answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, dict(headers), method=method)
        if data:
            request.add_header("Content-Type", "application/json")
            if trace:
                # What is written carries its trace.
                request.add_header("traceparent", TRACE)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.load(refusal)


def strict(schema):
    """The same schema, where an object has no member that is not described."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        made["additionalProperties"] = False
    return made


def fits(document, schema, value):
    """Fails where the value is not what a schema of this document says."""
    whole = {**strict(copy.deepcopy(schema)), "components": strict(document["components"])}
    jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)


class Http:
    """The HTTP API, each answer of which has to be as described."""

    def __init__(self, service, document):
        self.service, self.document, self.seen = service, document, set()

    def __call__(self, method, path, body=None, expect=200, **more):
        status, answer = self.service.ask(method, path, body, more.get("headers", ()))
        assert status == expect, (method, path, status, answer)
        template = re.sub(r"/ltm/\d+", "/ltm/{id}", path.split("?")[0])
        template = re.sub(r"/by-key/[^/]+/[^/]+", "/by-key/{fqn}/{key}", template)
        described = self.document["paths"][template][method.lower()]["responses"][str(status)]
        (content,) = described["content"].values()
        fits(self.document, content["schema"], answer)
        self.seen.add((method.lower(), template))
        return answer


def is_described(document, asyncapi):
    OpenAPIV31SpecValidator(document).validate()
    official = ROOT / "tests/interfaces/node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json"
    jsonschema.Draft7Validator(json.loads(official.read_text())).validate(asyncapi)
    rows = re.findall(r"^\| `(GET|POST|DELETE) (/api/v0[^`? ]*)", (ROOT / "README.md").read_text(), re.M)
    told = {(method.lower(), path) for method, path in rows}
    calls = [(method, path, call) for path, item in document["paths"].items() for method, call in item.items()]
    # README.md tells each call with its id only.
    described = {(method, path) for method, path, call in calls if "x-same-as" not in call}
    missing = told ^ described
    assert not missing, f"README.md and /docs/openapi.json differ in {missing}"


def all_calls(http):
    """Each call, with all that may be in an answer; gives the LTM, which is deleted at the end."""
    body = {"fqn": "app.Agent", "id": 4242, "state": {"n": 0}, "structure": {"name": "a", "fqn": "app.Agent"}}
    ltm = f"/api/v0/ltm/{http('POST', '/api/v0/ltm', body)['id']}"
    key = {"Idempotency-Key": "once"}
    for _ in range(2):
        http("POST", f"{ltm}/snapshots", {"reason": "execute", "merge": {"n": 1}, "item": [1]}, 201, headers=key)
    move = [{"op": "move", "from": "/n", "path": "/m"}, {"op": "test", "path": "/m", "value": 1}]
    http("POST", f"{ltm}/snapshots", {"reason": "execute", "patch": move, "execute_queue": [{"a": 1}]}, 201)
    http("POST", f"{ltm}/rollback", {"snapshot": {"index": 0}})
    http("POST", f"{ltm}/rollback", {"rollback": {"index": 0}})
    http("POST", f"{ltm}/rollback", {"snapshot": {"index": 0, "replay": True}})
    http("POST", f"{ltm}/errors", {"id": ERROR_ID, "item": {"a": None}, "retrying": True})
    http("GET", f"{ltm}/state")
    http("GET", f"{ltm}/wait?after=1-1")
    http("GET", ltm + "?rollbacks=true")
    http("GET", f"{ltm}/rollbacks?limit=2")
    http("GET", f"{ltm}/snapshots?rollback=0")
    steps = [{"reason": "execute", "merge": {"n": n}} for n in (2, 3)]
    http("POST", f"{ltm}/snapshots", {"snapshots": steps}, 201)
    http("POST", f"{ltm}/snapshots", {"snapshots": [{"reason": "execute"}]}, 422)
    copied = http("POST", f"{ltm}/copy")["copy_id"]
    http("GET", f"/api/v0/ltm/{copied}")
    http("GET", "/api/v0/ltm?playground=true")
    http("GET", "/api/v0/ltm?status=active,error&fqn=app.*&name=a&has_errors=false&created_after=2026-01-01T00:00:00Z")
    http("GET", "/api/v0/ltm?status=,", expect=422)
    http("GET", "/api/v0/ltm/counts")
    http("GET", "/api/v0/ltm/counts?playground=true")
    http("POST", f"{ltm}/snapshots", {"reason": "execute", "patch": [{"op": "remove", "path": "/x"}]}, 422)
    http("POST", f"{ltm}/snapshots", {"reason": "x", "state": {}}, 412, headers={"If-Match": '"1-1"'})
    http("GET", "/api/v0/ltm/99999999", expect=404)
    # Nobody has to show a token here, so there is none to give a ticket for.
    http("POST", "/api/v0/ws-ticket", expect=200)
    http("POST", "/api/v0/revocations", {"jti": "1", "until": 4102444800})
    http("GET", "/api/v0/revocations")
    http("DELETE", "/api/v0/revocations?jti=1")
    http("DELETE", ltm)
    http("GET", ltm, expect=410)
    by_key(http)
    described = {(method, path) for path, item in http.document["paths"].items() for method in item}
    assert http.seen == described, f"never called: {described - http.seen}"


def by_key(http):
    """Each call again, by class and key."""
    body = {"fqn": "app.Agent", "key": "thread/7", "id": "5000", "state": {"n": 0}}
    for expected in (True, False):
        assert http("POST", "/api/v0/ltm", body)["created"] is expected
    ltm = "/api/v0/ltm/by-key/app.Agent/thread%2F7"
    http("POST", f"{ltm}/snapshots", {"reason": "execute", "merge": {"n": 1}}, 201)
    http("POST", f"{ltm}/rollback", {"snapshot": {"index": 0}})
    http("POST", f"{ltm}/errors", {"id": ERROR_ID})
    for path in ("", "/state", "/snapshots", "/rollbacks", "/wait?after=1-1"):
        http("GET", ltm + path)
    http("POST", f"{ltm}/copy")
    http("GET", "/api/v0/ltm?fqn=app.Agent")
    http("GET", "/api/v0/ltm/by-key/app.Agent/none", expect=404)
    http("GET", "/api/v0/ltm/by-key/app.Agent/%ff", expect=422)
    http("DELETE", ltm)
    http("GET", ltm, expect=410)
    http("POST", "/api/v0/ltm", body, expect=410)
    http("POST", "/api/v0/ltm?reuse=true", {**body, "id": None})


async def all_messages(service, http, asyncapi):
    """Each message of each channel."""
    heard = {name: set() for name in asyncapi["channels"]}

    def is_of(channel, text):
        value = json.loads(text)
        # `cursor` and `id` are in all: the other member says which it is.
        for name in asyncapi["channels"][channel]["messages"]:
            payload = asyncapi["components"]["messages"][name]["payload"]
            try:
                fits(asyncapi, payload, value)
            except jsonschema.ValidationError:
                continue
            heard[channel].add(name)
            return name
        raise AssertionError(f"{channel}: no message is like {value}")

    socket = lambda path: websockets.connect(service.url.replace("http", "ws") + path)
    in_time = lambda wait: asyncio.wait_for(wait, LIMIT)
    call = lambda *arguments: asyncio.to_thread(http, *arguments)

    listed = await asyncio.create_subprocess_exec(
        "curl", "-sN", f"{service.url}/sse/ltms?fqn=app.*&live=1", stdout=asyncio.subprocess.PIPE
    )

    async def list_event():
        async for line in listed.stdout:
            if line.startswith(b"data:"):
                return is_of("listEvents", line.removeprefix(b"data:"))
        return None

    for expected in ("listReset", "listLive"):
        assert await in_time(list_event()) == expected
    async with socket("/ws/ltms?live=1") as rows:
        for expected in ("listReset", "listLive"):
            assert is_of("list", await in_time(rows.recv())) == expected
        ltm = (await call("POST", "/api/v0/ltm", {"fqn": "app.Agent", "state": {"n": 0}}))["id"]
        assert is_of("list", await in_time(rows.recv())) == "listChange"
    assert await in_time(list_event()) == "listChange"
    # It ends only when the gateway stops.
    heard["listEvents"].add("end")
    listed.terminate()
    await in_time(listed.wait())
    path = f"/api/v0/ltm/{ltm}"
    events = await asyncio.create_subprocess_exec(
        "curl", "-sN", f"{service.url}/sse/{ltm}?init=state&live=1", stdout=asyncio.subprocess.PIPE
    )

    async def event():
        async for line in events.stdout:
            if line.startswith(b"data:"):
                return is_of("events", line.removeprefix(b"data:"))
        return None

    async with socket(f"/ws/{ltm}?init=state&live=1") as one, socket("/ws") as many:
        await many.send(json.dumps({"follow": ltm, "init": "state", "live": 1}))
        for _ in range(2):
            is_of("ltm", await in_time(one.recv()))
            is_of("many", await in_time(many.recv()))
            await in_time(event())
        await call("POST", f"{path}/snapshots", {"reason": "execute", "merge": {"n": 1}}, 201)
        await call("POST", f"{path}/rollback", {"snapshot": {"index": 0}})
        await call("POST", f"{path}/rollback", {"rollback": {"index": 0}})
        await call("POST", f"{path}/errors", {"id": ERROR_ID})
        await call("DELETE", path)
        for _ in range(5):
            is_of("ltm", await in_time(one.recv()))
            is_of("many", await in_time(many.recv()))
        assert is_of("many", await in_time(many.recv())) == "end"
        key = {"fqn": "app.Agent", "key": "thread/7"}
        await many.send(json.dumps({"follow": key, "init": "state"}))
        assert is_of("many", await in_time(many.recv())) == "followed"
        assert is_of("many", await in_time(many.recv())) == "reset"
        await many.send(json.dumps({"unfollow": key}))
        assert is_of("many", await in_time(many.recv())) == "end"
        await many.send(json.dumps({"follow": {**key, "key": "none"}}))
        assert is_of("many", await in_time(many.recv())) == "end"
    async with socket("/ws/by-key/app.Agent/thread%2F7?init=state") as one:
        assert is_of("ltm", await in_time(one.recv())) == "reset"
    while await in_time(event()):
        pass
    await in_time(events.wait())
    await call("POST", "/api/v0/ltm", {"fqn": "app.Agent", "key": "run-1", "state": {"_status": "finished"}})
    run = await asyncio.create_subprocess_exec(
        "curl", "-sN", "-X", "POST", f"{service.url}/agui/app.Agent/run-1?steps=1", stdout=asyncio.subprocess.PIPE
    )
    told, _ = await in_time(run.communicate())
    told = [line.removeprefix(b"data:") for line in told.splitlines() if line.startswith(b"data:")]
    assert [is_of("agui", event) for event in told] == ["aguiEvent"] * 3, told
    for channel, names in heard.items():
        said_by_clients = {"follow", "unfollow", "token"}
        missing = set(asyncapi["channels"][channel]["messages"]) - said_by_clients - names
        assert not missing, f"{channel}: never heard: {missing}"


def whatever_is_made_of_it(service):
    command = [
        pathlib.Path(sys.executable).with_name("schemathesis"), "run", f"{service.url}/docs/openapi.json",
        "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "25", "--seed", "1",
        "--continue-on-failure", "--request-timeout", str(LIMIT), "--no-color",
        # What is well formed may still not fit the LTM that it meets; tokens have a test of their own (`auth`).
        "--exclude-checks", "positive_data_acceptance,ignored_auth,object_level_authorization",
        "--warnings", "off",
    ]  # fmt: skip
    # It writes its notes where it stands.
    subprocess.run(command, check=True, cwd=service.folder.name)


def main():
    with Service() as service:
        _, document = service.ask("GET", "/docs/openapi.json")
        _, asyncapi = service.ask("GET", "/docs/asyncapi.json")
        is_described(document, asyncapi)
        examples.are_true(service, document, fits)
        examples.messages_fit(asyncapi, fits)
        http = Http(service, document)
        all_calls(http)
        asyncio.run(all_messages(service, http, asyncapi))
        print("interfaces: each call and each message is as described; now whatever can be made of that", flush=True)
        whatever_is_made_of_it(service)


main()
