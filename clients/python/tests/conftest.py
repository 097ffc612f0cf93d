"""Tests run on the real services, through a proxy where connections have to break."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import pytest
from proxy import Proxy

from ltm_live import Backoff, Client, Retry

if TYPE_CHECKING:
    from ltm_live.testing import Server

pytest_plugins = ["ltm_live.testing"]

T = TypeVar("T")
QUICK = Retry(backoff=Backoff(0.001, 0.02))


def until(holds: Callable[[], T]) -> T:
    """Waits until something is so. The limit only ends a test that would hang."""
    end = time.monotonic() + 60
    while True:
        value = holds()
        if value:
            return value
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


@pytest.fixture
def proxy(ltm_server: Server) -> Iterator[Proxy]:
    with Proxy(ltm_server.port) as proxy:
        yield proxy


@pytest.fixture
def client(ltm_server: Server) -> Iterator[Client]:
    with Client(ltm_server.url, retry=QUICK) as client:
        yield client
