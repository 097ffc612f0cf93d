"""A Celery app for the tests: `celery -A tasks worker` runs it in processes of its own."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery  # type: ignore[import-untyped]

from ltm_live import Client
from ltm_live.hooks.celery import record

app = Celery("tasks", broker=os.environ["TASKS_BROKER"], backend=os.environ["TASKS_BROKER"])
app.conf.broker_connection_retry_on_startup = True
recorder = record(app, Client(os.environ["TASKS_LTM"]))


@app.task  # type: ignore[untyped-decorator]
def add(x: int, y: int) -> int:
    return x + y


@app.task(bind=True, max_retries=1)  # type: ignore[untyped-decorator]
def flaky(self: Any) -> str:
    try:
        if self.request.retries == 0:
            raise ConnectionError("not yet")
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=0) from error
    return "at last"


@app.task  # type: ignore[untyped-decorator]
def fails() -> None:
    raise ZeroDivisionError("in the task")
