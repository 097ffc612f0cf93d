"""The client: creates and finds LTMs."""

# Written by scripts/halves.py from the file of this name in _async. Change that one.

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from typing import Any

from typing_extensions import Self

from ..data.values import Default
from ..following.subscription import Start
from ..sending import calls
from ..sending.background import BackgroundProducer, Full, OnError
from ..sending.calls import Address, Conditions, ListPage, Producer
from ..sending.retry import Backoff, Retry
from ..sending.settings import Settings, Token
from ..wire import Counts, NewSnapshot, Retention, Revocation, Revocations, Row, Ticket
from .follower import Follower
from .ltm import Ltm
from .transport import Transport


class Client:
    """Writes LTMs, reads them and follows them.

    The client repeats a call until a service answers it, with growing random pauses. A write lands once, however often
    it is sent. A rejected call raises a `Problem`.

    - `url`: where the services are, such as `http://localhost:8000`.
    - `token`: a JWT or an API key, or a function that returns one before each call.
    - `producer`, `epoch`: who writes. After a write with a higher epoch, the API rejects lower ones (`Fenced`).
    - `retry`: how often and how long a call is repeated.
    - `timeout`: seconds for one attempt. `quiet`: seconds without a byte after which a follower reconnects.
    - `default`: converts objects to JSON that the client does not know.
    """

    def __init__(
        self,
        url: str = "http://localhost:8000",
        *,
        token: Token | None = None,
        producer: str | None = None,
        epoch: int = 0,
        retry: Retry | None = None,
        timeout: float = 30.0,
        quiet: float = 60.0,
        connections: int = 16,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        default: Default | None = None,
    ) -> None:
        self._producer = Producer(producer, epoch, default)
        self._token = token
        self._settings = Settings(
            url, self._producer, retry or Retry(), timeout, quiet, connections, proxy, ssl_context
        )
        self._transport = Transport(self._settings, token)

    @property
    def default(self) -> Default | None:
        """The function that converts objects to JSON."""
        return self._producer.default

    @property
    def url(self) -> str:
        """Where the services are."""
        return self._settings.url

    def create(
        self,
        fqn: str,
        *,
        key: str | None = None,
        state: Any = None,
        name: str | None = None,
        params: Any = None,
        payload: Any = None,
        playground: bool | None = None,
        structure: Any = None,
        concurrent_instances: Any = None,
        snapshot: NewSnapshot | None = None,
        id: int | None = None,
        time: Any = None,
        retention: Retention | None = None,
        reuse: bool = False,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> Ltm:
        """Creates an LTM of the class `fqn`. With a `key`, returns the LTM of this class and key if there is one.

        If that LTM was deleted, the call raises `DeletedLtm`; with `reuse`, the key belongs to a new LTM from then on.
        """
        body = {"fqn": fqn, "key": key, "state": state, "name": name, "params": params, "payload": payload}
        body |= {"playground": playground, "structure": structure, "concurrent_instances": concurrent_instances}
        body |= {"snapshot": snapshot, "id": id, "time": time, "retention": retention}
        conditions = Conditions(None, idempotency_key, deadline)
        answer = self._transport.send(self._producer.create(body, reuse, conditions))
        found = answer["id"]
        return Ltm(self._transport, Address.of(found), found, answer["cursor"], answer.get("created", True))

    def ltm(self, id: int | str) -> Ltm:
        """The LTM with this id. Nothing is sent."""
        return Ltm(self._transport, Address.of(id), int(id))

    def by_key(self, fqn: str, key: str) -> Ltm:
        """The LTM of this class and key. Nothing is sent."""
        return Ltm(self._transport, Address.by_key(fqn, key))

    def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        fqn: str | None = None,
        name: str | None = None,
        created_after: Any = None,
        created_before: Any = None,
        updated_after: Any = None,
        updated_before: Any = None,
        has_errors: bool | None = None,
        playground: bool | None = None,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """The LTMs, newest first, page by page; at most `limit` of them.

        `status` is one status or several, `fqn` a class or its beginning with `*`, `name` words or their beginnings.
        The times are datetimes or ISO 8601.
        """
        query = calls.filters(
            status=status,
            fqn=fqn,
            name=name,
            created_after=created_after,
            created_before=created_before,
            updated_after=updated_after,
            updated_before=updated_before,
            has_errors=has_errors,
            playground=playground,
        )
        left, before = limit, None
        while left is None or left > 0:
            size = None if left is None or left > 100 else left
            page = self._transport.send(calls.list_page({**query, "limit": size, "before": before}))
            for row in page.rows[:left]:
                yield row
            if page.next is None:
                return
            before = page.next
            left = None if left is None else left - len(page.rows)

    def page(
        self,
        *,
        status: str | Iterable[str] | None = None,
        fqn: str | None = None,
        name: str | None = None,
        created_after: Any = None,
        created_before: Any = None,
        updated_after: Any = None,
        updated_before: Any = None,
        has_errors: bool | None = None,
        playground: bool | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> ListPage:
        """One page of the list. `before` of the next page is its `next`."""
        query = calls.filters(
            status=status,
            fqn=fqn,
            name=name,
            created_after=created_after,
            created_before=created_before,
            updated_after=updated_after,
            updated_before=updated_before,
            has_errors=has_errors,
            playground=playground,
        )
        return self._transport.send(calls.list_page({**query, "limit": limit, "before": before}))

    def counts(self, *, playground: bool | None = None) -> Counts:
        """How many LTMs there are, by status and by class."""
        return self._transport.send(calls.counts({"playground": playground}))

    def ticket(self) -> Ticket:
        """A ticket, with which a page opens one socket."""
        return self._transport.send(calls.ticket())

    def revoke(
        self, *, jti: str | None = None, sub: str | None = None, api_key: str | None = None, until: int | None = None
    ) -> Revocation:
        """Revokes a JWT, all JWTs of a subject, or an API key."""
        credential = {"jti": jti, "sub": sub, "api_key": api_key, "until": until}
        return self._transport.send(calls.revoke(credential))

    def revocations(self) -> Revocations:
        """The revoked credentials."""
        return self._transport.send(calls.revocations())

    def lift(self, *, jti: str | None = None, sub: str | None = None, api_key: str | None = None) -> bool:
        """Makes a revoked credential valid again. Returns whether it was revoked."""
        return self._transport.send(calls.lift({"jti": jti, "sub": sub, "api_key": api_key}))

    def follow(self, ltm: int | str | Ltm, after: Start | None = None, *, backoff: Backoff | None = None) -> Follower:
        """Follows an LTM: see `Ltm.follow`."""
        return Ltm(self._transport, Address.of(ltm)).follow(after, backoff=backoff)

    def background(
        self,
        *,
        capacity: int = 1000,
        max_bytes: int = 64 << 20,
        on_full: Full = "raise",
        on_error: OnError | None = None,
        retry: Retry | None = None,
        linger: float = 5.0,
    ) -> BackgroundProducer:
        """A producer that writes in a thread of its own, so that a slow service never delays the caller."""
        return BackgroundProducer(self._settings, self._token, capacity, max_bytes, on_full, on_error, retry, linger)

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
