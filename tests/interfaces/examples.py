"""Makes the calls that the API's description has as examples, and compares the answers.

With `UPDATE_DOCS=1` the answers are written to the file of the examples.
"""

import json
import os
import pathlib
import re
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE = ROOT / "crates/ltm-api/src/http/examples.json"
LIMIT = 30
# What differs each time: cursors, times, tickets.
VARIES = [
    (re.compile(r"^\d+-[0-9a-z]+$"), "<cursor>"),
    (re.compile(r"^\d{4}-\d\d-\d\dT[0-9:.]+Z$"), "<time>"),
    (re.compile(r"^[A-Za-z0-9_.-]{40,}$"), "<ticket>"),
]


def plain(value):
    """The value without what differs each time."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return next((word for pattern, word in VARIES if pattern.match(value)), value)
    return value


def request(document, name, example):
    """The method and the path of an example."""
    calls = [(path, method, call) for path, item in document["paths"].items() for method, call in item.items()]
    (path, method, call) = next(it for it in calls if it[2]["operationId"] == name)
    query = {}
    for parameter, value in example.get("parameters", {}).items():
        (place,) = [it["in"] for it in call["parameters"] if it["name"] == parameter]
        text = value if isinstance(value, str) else json.dumps(value)
        if place == "path":
            path = path.replace("{%s}" % parameter, urllib.parse.quote(text, safe=""))
        else:
            query[parameter] = text
    return method.upper(), path + ("?" + urllib.parse.urlencode(query) if query else "")


def answered(service, document, name, example):
    """The answer to an example. A service that has just started builds its index first: a list gets its rows a moment later."""
    method, path = request(document, name, example)
    status = example.get("status", 200)
    end = time.monotonic() + LIMIT
    while True:
        said, answer = service.ask(method, path, example.get("body"), trace=False)
        assert said == status, (name, said, answer)
        wanted = "answer" not in example or plain(answer) == plain(example["answer"])
        if wanted and answer != [] or name not in ("list", "counts") or time.monotonic() > end:
            return answer
        time.sleep(0.05)


def are_true(service, document, fits):
    """Makes each call on a service that has no LTM, in order; each answer has to be the one that is shown, and to fit its schema."""
    examples = json.loads(FILE.read_text())
    update = "UPDATE_DOCS" in os.environ
    for name, example in examples.items():
        if update:
            example.pop("answer", None)
        answer = answered(service, document, name, example)
        if update:
            example["answer"] = answer
        assert plain(answer) == plain(example["answer"]), f"{FILE}: {name}: run with UPDATE_DOCS=1\n{answer}"
    if update:
        rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(it, ensure_ascii=False)}" for name, it in examples.items())
        FILE.write_text("{\n" + rows + "\n}\n")
    fit(document, fits)


def fit(document, fits):
    """Each example of the description fits the schema beside it, and no call lacks one."""
    for path, item in document["paths"].items():
        for method, call in item.items():
            success = next(it for status, it in call["responses"].items() if status.startswith("2"))
            for place in (call.get("requestBody"), success):
                if place:
                    content = place["content"]["application/json"]
                    assert "example" in content, f"{method} {path} has no example"
                    fits(document, content["schema"], content["example"])


def messages_fit(asyncapi, fits):
    """Each message has an example that fits its schema."""
    for name, message in asyncapi["components"]["messages"].items():
        for example in message["examples"]:
            fits(asyncapi, message["payload"], example["payload"])
        assert message["examples"], name
