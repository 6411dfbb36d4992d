"""Several questions open on one Modbus TCP connection: its bytes are cut into frames, each for the question of its transaction.

A gateway may answer out of order (Guide V1.0b §4.4.2: the transaction identifier pairs answer and question). Only the header is
looked at here: whether a frame is the answer is for the session to say that asked. Invariant: a number is never given to two
questions that are open at once, nor again before all others have been used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from protocols.buffer import Buffer
from protocols.errors import ProtocolError, UnexpectedBytes
from protocols.modbus.tcp import LAST_TRANSACTION, TcpSession, senseless

ROOM = 16 * 1024
"""Answers to as many questions as anybody keeps open, and late ones before them."""


class TcpMany:
    """One connection after another; `forget` between two."""

    def __init__(self) -> None:
        self._buffer = Buffer(ROOM)
        self._last = 0

    def session(self) -> TcpSession:
        """For one question at a time; sessions share the numbers."""
        return TcpSession()

    def number(self, open_: Mapping[int, object]) -> int:
        """The next transaction that is not open."""
        while True:
            self._last = self._last % LAST_TRANSACTION + 1
            if self._last not in open_:
                return self._last

    def receive(self, data: bytes) -> Iterator[tuple[int, bytes] | ProtocolError]:
        """Frames with their transaction, as far as they are whole; an error where framing is lost, and nothing after it."""
        if self._buffer.append(data):
            yield UnexpectedBytes("more bytes than all answers have", data=data)
            return
        while held := self._buffer.peek():
            if error := senseless(held):
                yield error
                return
            if len(held) < 6 or len(held) < 6 + held[5]:
                return
            frame = self._buffer.take(6 + held[5])
            yield frame[0] << 8 | frame[1], frame

    def forget(self) -> None:
        """Half a frame of a connection that has gone."""
        self._buffer.clear()
