"""How a client reaches the services."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Union
from urllib.parse import urlsplit

from .calls import Call, Producer
from .retry import Retry

#: A token, or a function that returns one. The client calls the function before each connection and call.
Token = Union[str, Callable[[], str]]
#: The same for `AsyncClient`; the function may be asynchronous.
AsyncToken = Union[str, Callable[[], Union[str, Awaitable[str]]]]

#: What this package calls itself in `User-Agent`.
AGENT = "ltm-live-python"


@dataclass(frozen=True)
class Settings:
    """The settings of a client, without its token."""

    url: str
    producer: Producer
    retry: Retry
    #: Seconds for one attempt, from the connection to the answer.
    timeout: float = 30.0
    #: Seconds without a byte after which a follower reconnects. The gateway sends a ping every 20 seconds.
    quiet: float = 60.0
    #: The most connections that the client keeps open.
    connections: int = 16
    #: The URL of a proxy.
    proxy: str | None = None
    ssl_context: ssl.SSLContext | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.url!r} is not the URL of a service, such as http://localhost:8000")

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def prefix(self) -> str:
        """The path before the paths of the services, with a slash at its end."""
        return urlsplit(self.url).path.rstrip("/") + "/"


def headers_of(call: Call[Any], token: str | None) -> dict[str, str]:
    """The headers of a call."""
    headers = {"User-Agent": AGENT, "Accept": "application/json", **call.headers}
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def event_headers(token: str | None) -> dict[str, str]:
    """The headers of a connection that follows."""
    headers = {"User-Agent": AGENT, "Accept": "text/event-stream", "Cache-Control": "no-store"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return headers
