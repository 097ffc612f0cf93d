"""Sends calls and opens streams with aiohttp, for `AsyncClient`."""

from __future__ import annotations

import asyncio
import inspect
from typing import TypeVar

import aiohttp
from yarl import URL

from ..following.events import Event, EventDecoder
from ..problems import LtmError, NoAnswer, TokenFailed, problem_of
from ..sending.calls import Answer, Call, answered
from ..sending.retry import Attempts
from ..sending.settings import AsyncToken, Settings, event_headers, headers_of

T = TypeVar("T")

_LOST = (aiohttp.ClientError, asyncio.TimeoutError, TimeoutError, OSError)


class AsyncTransport:
    """The connections of one client."""

    def __init__(self, settings: Settings, token: AsyncToken | None) -> None:
        self.settings = settings
        self._token = token
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def renews(self) -> bool:
        """Whether the next token may be another one."""
        return callable(self._token)

    async def token(self) -> str | None:
        """The current token."""
        if not callable(self._token):
            return self._token
        try:
            token = self._token()
            return await token if inspect.isawaitable(token) else token
        except Exception as error:
            raise TokenFailed(f"the function of the token failed: {error}") from error

    async def send(self, call: Call[T]) -> T:
        """Sends a call until a service answers it."""
        attempts = Attempts(self.settings.retry, call.deadline, self.renews, call.waits)
        while True:
            timeout = attempts.timeout(self.settings.timeout + call.waits)
            try:
                return call.read(await self._attempt(call, timeout))
            except LtmError as failure:
                pause = attempts.failed(failure)
            await asyncio.sleep(pause)

    async def _attempt(self, call: Call[T], timeout: float) -> Answer:
        headers = headers_of(call, await self.token())
        limits = aiohttp.ClientTimeout(total=timeout)
        try:
            async with self._open().request(
                call.method,
                self._url(call.path),
                data=call.body,
                headers=headers,
                timeout=limits,
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except _LOST as error:
            raise NoAnswer(f"{self.settings.origin} did not answer: {_text(error)}") from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return answered(response.status, headers, body)

    async def stream(self, path: str) -> AsyncStream:
        """Opens a stream of events."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=self.settings.timeout, sock_read=self.settings.quiet)
        headers = event_headers(await self.token())
        try:
            response = await self._open().get(self._url(path), headers=headers, timeout=limits, allow_redirects=False)
        except _LOST as error:
            raise NoAnswer(f"{self.settings.origin} did not answer: {_text(error)}") from error
        if response.status not in (200, 204):
            try:
                body = await response.read()
            except _LOST as error:
                raise NoAnswer(f"{self.settings.origin} did not answer: {_text(error)}") from error
            raise problem_of(response.status, {name.lower(): v for name, v in response.headers.items()}, body)
        return AsyncStream(response)

    async def close(self) -> None:
        """Closes the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed or self._loop is not loop:
            connector = aiohttp.TCPConnector(
                limit=0, limit_per_host=0, ssl=self.settings.ssl_context or True, keepalive_timeout=15
            )
            self._session = aiohttp.ClientSession(
                connector=connector, proxy=self.settings.proxy, cookie_jar=aiohttp.DummyCookieJar()
            )
            self._loop = loop
        return self._session

    def _url(self, path: str) -> URL:
        # The path is encoded already: yarl must not decode a `%2F` in a key.
        return URL(f"{self.settings.origin}{self.settings.prefix}{path}", encoded=True)


class AsyncStream:
    """One stream of events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._decoder = EventDecoder()
        self._events: list[Event] = []
        #: Whether the service has nothing more to send, ever.
        self.over = response.status == 204

    async def next(self) -> Event | None:
        """The next event; None if the stream ended."""
        while not self._events:
            try:
                part = await self._response.content.readany()
            except _LOST as error:
                raise NoAnswer(f"the connection was lost: {_text(error)}") from error
            if not part:
                return None
            self._events = self._decoder.feed(part)
        return self._events.pop(0)

    async def close(self) -> None:
        """Closes the connection."""
        self._response.close()


class AsyncBell:
    """Ends pauses early."""

    def __init__(self) -> None:
        self._rung: asyncio.Event | None = None
        self._is_rung = False

    async def wait(self, seconds: float) -> None:
        """Pauses, or returns at once if the bell has rung."""
        if self._is_rung:
            return
        self._rung = self._rung or asyncio.Event()
        try:
            await asyncio.wait_for(self._rung.wait(), seconds)
        except (asyncio.TimeoutError, TimeoutError):
            pass

    def ring(self) -> None:
        """Ends all pauses, also later ones."""
        self._is_rung = True
        if self._rung is not None:
            self._rung.set()


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
