"""Celery: each task is an LTM, with the id of the task as its key.

    app = Celery("app", broker="redis://localhost")
    record(app, Client("http://localhost:8000"))

The class is the name of the task. The state has `args`, `kwargs`, `retries`, the `worker` and in the end the `result`.
`_status` is `queued`, `active`, `finished`, `error` or `revoked`. A failed attempt is recorded as an error.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from celery import signals  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from .._sync.client import Client
from .recording import Recording

#: How many tasks are kept in memory.
_TASKS = 1000


def record(app: Any, client: Client, *, prefix: str = "") -> Recorder:
    """Records the tasks of an app whose names begin with `prefix`. Call it where the app is made.

    Keep the answer if you want to stop: `close()`.
    """
    return Recorder(app, client, prefix)


class Recorder:
    """Records tasks, by Celery's signals. Celery logs the failure of a signal; the task goes on."""

    def __init__(self, app: Any, client: Client, prefix: str = "") -> None:
        self._app, self._client, self._prefix = app, client, prefix
        self._lock = threading.Lock()
        self._recordings: OrderedDict[str, Recording] = OrderedDict()
        self._receivers = [
            (signals.before_task_publish, self._published),
            (signals.task_prerun, self._begins),
            (signals.task_retry, self._retries),
            (signals.task_success, self._succeeded),
            (signals.task_failure, self._failed),
            (signals.task_revoked, self._revoked),
        ]
        for signal, receiver in self._receivers:
            signal.connect(receiver, weak=False)

    def close(self) -> None:
        """Records no more tasks."""
        for signal, receiver in self._receivers:
            signal.disconnect(receiver)

    def _published(self, sender: str | None = None, headers: Any = None, body: Any = None, **_: Any) -> None:
        """A task is about to be sent. A retry is sent, too."""
        if headers is None or "task" not in headers or not self._is_own(headers["task"]):
            return
        task = self._recording(headers["task"], headers["id"])
        args, kwargs = (body or ((), {}))[:2]
        members: dict[str, Any] = {
            "_status": "queued",
            "args": list(args),
            "kwargs": kwargs,
            "retries": headers.get("retries") or 0,
        }
        task.change("queue", task.members(members), _item(task))

    def _begins(self, task_id: str, task: Any, args: Any = (), kwargs: Any = None, **_: Any) -> None:
        if not self._is_own(task.name):
            return
        recording = self._recording(task.name, task_id)
        request = task.request
        members: dict[str, Any] = {
            "_status": "active",
            "args": list(args),
            "kwargs": kwargs or {},
            "retries": request.retries,
        }
        members["worker"] = request.hostname
        recording.change("begin", recording.members(members), _item(recording))

    def _succeeded(self, sender: Any, result: Any = None, **_: Any) -> None:
        if self._is_own(sender.name):
            recording = self._recording(sender.name, sender.request.id)
            members = {"_status": "finished", **recording.members({"result": result})}
            recording.change("finish", members, _item(recording))

    def _failed(self, sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
        if self._is_own(sender.name):
            recording = self._recording(sender.name, task_id)
            recording.fail(exception, _item(recording))

    def _retries(self, sender: Any, request: Any, reason: Any, **_: Any) -> None:
        if self._is_own(sender.name):
            recording = self._recording(sender.name, request.id)
            error = getattr(reason, "exc", None) or reason
            recording.fail(error, _item(recording), ends=False)

    def _revoked(self, sender: Any, request: Any, **_: Any) -> None:
        name = getattr(sender, "name", None) or request.task
        if self._is_own(name):
            recording = self._recording(name, request.id)
            recording.change("revoke", {"_status": "revoked"}, _item(recording))

    def _is_own(self, name: str) -> bool:
        return name in self._app.tasks and name.startswith(self._prefix) and not name.startswith("celery.")

    def _recording(self, name: str, id: str) -> Recording:
        with self._lock:
            if id not in self._recordings:
                self._recordings[id] = Recording(self._client, name, id)
            self._recordings.move_to_end(id)
            while len(self._recordings) > _TASKS:
                self._recordings.popitem(last=False)
            return self._recordings[id]


def _item(task: Recording) -> dict[str, Any]:
    return {"fqn": task.fqn}
