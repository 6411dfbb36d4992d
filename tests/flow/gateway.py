"""A Modbus TCP gateway that takes one connection at a time, as many do, and whose answers can be held back."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Collection
from types import TracebackType
from typing import Self

KWH = struct.unpack(">HH", struct.pack(">f", 1234.5))
ENERGY, VOLTS = 72, 0
"""Where an SDM630 has its import energy, and its first voltage."""


class Gateway:
    """Answers each unit but `silent` ones. `asked`: every question, in its order; `refused`: who came while another was there."""

    def __init__(self, silent: Collection[int] = ()) -> None:
        self.asked: list[tuple[int, int]] = []
        self.refused = 0
        self.silent = frozenset(silent)
        self.open = threading.Event()
        """Cleared: questions are heard, and answered once it is set."""
        self.open.set()
        self.heard = threading.Event()
        """Set at each question; for whoever clears it before."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self._busy = threading.Lock()
        self._over = False
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def channel(self, name: str = "a", more: str = "") -> str:
        """As a configuration has it."""
        return f'name = "{name}"\nlink = "{self.url}"\nprotocol = "modbus-tcp"\n{more}'

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over = True
        self.open.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._connections:
            connection.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._over:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            if not self._busy.acquire(timeout=0.2):
                self.refused += 1
                connection.close()
                continue
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(0.2)
            while not self._over:
                try:
                    request = connection.recv(12)
                except TimeoutError:
                    continue
                if len(request) < 12:
                    return
                answer = self._answer(request)
                self.open.wait(30)
                if answer and not self._over:
                    connection.sendall(answer)
        except OSError:
            return
        finally:
            connection.close()
            self._busy.release()

    def _answer(self, request: bytes) -> bytes:
        transaction, _, _, unit, function, first, count = struct.unpack(">HHHBBHH", request)
        self.asked.append((unit, first))
        self.heard.set()
        if unit in self.silent:
            return b""
        there = {ENERGY: KWH[0], ENERGY + 1: KWH[1]} | dict(
            enumerate(struct.unpack(">HH", struct.pack(">f", 230.0)), VOLTS)
        )
        words = b"".join(struct.pack(">H", there.get(first + place, 0)) for place in range(count))
        body = struct.pack(">BBB", unit, function, len(words)) + words
        return struct.pack(">HHH", transaction, 0, len(body)) + body
