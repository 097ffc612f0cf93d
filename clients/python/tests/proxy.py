"""A TCP proxy before the services that does to connections what networks do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from typing_extensions import Self


class Proxy:
    def __init__(self, target: int) -> None:
        self.target = target
        #: Connections that were opened.
        self.opened = 0
        #: Bytes from the services until every connection is cut, once; None: never.
        self.budget: int | None = None
        self.was_cut = False
        #: Whether a request is refused.
        self.refuses: Callable[[bytes], bool] | None = None
        #: What bytes from the services become.
        self.change: Callable[[bytes], bytes] | None = None
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut_after(self, budget: int) -> None:
        """Loses every connection once so many more bytes have come from the services; after that no more."""
        self.was_cut = False
        self.budget = budget

    def cut(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for side in pair:
                try:
                    side.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.opened += 1
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._pairs.add((client, server))
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answers, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with client:
            try:
                while part := client.recv(65536):
                    if self.refuses is not None and self.refuses(part):
                        break
                    server.sendall(part)
            except OSError:
                pass
            self._shut(client, server)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with server:
            try:
                while part := server.recv(65536):
                    part = self.change(part) if self.change is not None else part
                    if self.budget is not None and len(part) >= self.budget:
                        client.sendall(part[: self.budget])
                        self.budget, self.was_cut = None, True
                        self.cut()
                        break
                    if self.budget is not None:
                        self.budget -= len(part)
                    client.sendall(part)
            except OSError:
                pass
            self._shut(client, server)

    @staticmethod
    def _shut(*sides: socket.socket) -> None:
        for side in sides:
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
