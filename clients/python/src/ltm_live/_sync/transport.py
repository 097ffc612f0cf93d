"""Sends calls and opens streams with urllib3, for `Client`."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import urllib3
from urllib3.exceptions import HTTPError

from ..following.events import Event, EventDecoder
from ..problems import LtmError, NoAnswer, TokenFailed, problem_of
from ..sending.calls import Answer, Call, answered
from ..sending.retry import Attempts
from ..sending.settings import Settings, Token, event_headers, headers_of

T = TypeVar("T")

_LOST = (HTTPError, OSError)
#: How much of a stream is read at most before its events are given out.
_PART = 1 << 16


class Transport:
    """The connections of one client. Threads may share it."""

    def __init__(self, settings: Settings, token: Token | None, pause: Callable[[float], object] = time.sleep) -> None:
        self.settings = settings
        self._token = token
        self._pause = pause
        self._pools = self._new_pools()
        _transports.add(self)

    @property
    def renews(self) -> bool:
        """Whether the next token may be another one."""
        return callable(self._token)

    def token(self) -> str | None:
        """The current token."""
        try:
            return self._token() if callable(self._token) else self._token
        except Exception as error:
            raise TokenFailed(f"the function of the token failed: {error}") from error

    def send(self, call: Call[T]) -> T:
        """Sends a call until a service answers it."""
        attempts = Attempts(self.settings.retry, call.deadline, self.renews, call.waits)
        while True:
            timeout = attempts.timeout(self.settings.timeout + call.waits)
            try:
                return call.read(self._attempt(call, timeout))
            except LtmError as failure:
                pause = attempts.failed(failure)
            self._pause(pause)

    def _attempt(self, call: Call[T], timeout: float) -> Answer:
        headers = headers_of(call, self.token())
        try:
            response = self._request(
                call.method,
                call.path,
                body=call.body,
                headers=headers,
                timeout=timeout,
            )
        except _LOST as error:
            raise NoAnswer(f"{self.settings.origin} did not answer: {error}") from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return answered(response.status, headers, response.data)

    def stream(self, path: str) -> Stream:
        """Opens a stream of events."""
        limits = urllib3.Timeout(connect=self.settings.timeout, read=self.settings.quiet)
        try:
            response = self._request(
                "GET",
                path,
                headers=event_headers(self.token()),
                timeout=limits,
                preload_content=False,
            )
            if response.status not in (200, 204):
                headers = {name.lower(): value for name, value in response.headers.items()}
                raise problem_of(response.status, headers, response.data)
        except _LOST as error:
            raise NoAnswer(f"{self.settings.origin} did not answer: {error}") from error
        return Stream(response)

    def close(self) -> None:
        """Closes the connections."""
        self._pools.clear()

    def after_fork(self) -> None:
        """Leaves the connections of the parent process alone."""
        # Closing a TLS connection would send its end to the service, on the parent's connection.
        _abandoned.append(self._pools)
        self._pools = self._new_pools()

    def _new_pools(self) -> urllib3.PoolManager:
        settings = self.settings
        size = settings.connections
        if settings.proxy is not None:
            return urllib3.ProxyManager(settings.proxy, maxsize=size, ssl_context=settings.ssl_context)
        return urllib3.PoolManager(maxsize=size, ssl_context=settings.ssl_context)

    def _request(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        settings = self.settings
        if settings.proxy is not None:
            # A proxy needs the whole URL, unless it only connects: the manager knows.
            url = settings.origin + settings.prefix + path
            return self._pools.urlopen(method, url, retries=False, redirect=False, **options)
        pool = self._pools.connection_from_url(settings.origin)
        return pool.urlopen(method, settings.prefix + path, retries=False, redirect=False, **options)


class Stream:
    """One stream of events."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self._decoder = EventDecoder()
        self._events: list[Event] = []
        #: Whether the service has nothing more to send, ever.
        self.over = response.status == 204
        self._reading = threading.Lock()

    def next(self) -> Event | None:
        """The next event; None if the stream ended."""
        while not self._events:
            try:
                with self._reading:
                    part = self._response.read1(_PART)
            except _LOST as error:
                raise NoAnswer(f"the connection was lost: {error}") from error
            if not part:
                return None
            self._events = self._decoder.feed(part)
        return self._events.pop(0)

    def close(self) -> None:
        """Closes the connection. A thread that waits for an event gets the end of the stream."""
        try:
            self._response.shutdown()
        except (ValueError, RuntimeError, OSError):
            # The connection is closed already.
            pass
        # What another thread reads from must not be closed meanwhile; it wakes up now.
        with self._reading:
            self._response.close()


class Bell:
    """Ends pauses early."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def wait(self, seconds: float) -> None:
        """Pauses, or returns at once if the bell has rung."""
        self._rung.wait(seconds)

    def ring(self) -> None:
        """Ends all pauses, also later ones."""
        self._rung.set()


_transports: weakref.WeakSet[Transport] = weakref.WeakSet()
_abandoned: list[urllib3.PoolManager] = []


def _after_fork() -> None:
    for transport in list(_transports):
        transport.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
