"""Modbus TCP: the MBAP header, and the session that believes an answer only when every byte of it fits the question.

    transaction (2)  protocol id = 0 (2)  length (2)  unit (1)  │ PDU: function, byte count, data
                                                 └── counts what follows it: 1 + PDU
MODBUS Messaging on TCP/IP Implementation Guide V1.0b §3.1. Checks run in the order of the bytes, each as soon as its
bytes are there, so every way of slicing the input gives the same verdict, and nothing is waited for in vain:

    protocol id not 0, or a length that no frame has   UnexpectedBytes: framing is lost until the next `send`
    another transaction (0 is never ours)              WrongTransaction
    length, then unit, function, byte count            WrongLength, WrongUnit, WrongFunction, WrongLength

A frame that is framed well but wrong is skipped to its end: the answer may stand behind it (a late one comes first).
"""

from __future__ import annotations

import struct

from protocols.buffer import Buffer
from protocols.errors import (
    ProtocolError,
    UnexpectedBytes,
    WrongFunction,
    WrongLength,
    WrongTransaction,
    WrongUnit,
)
from protocols.modbus.pdu import REFUSAL, refused
from protocols.modbus.unit import Asked, ask
from protocols.telegram import Event, Garbage, NeedMore, Request, Telegram

HEADER = struct.Struct(">HHHB")
ANSWER = struct.Struct(">HHHBBB")
MIN_LENGTH, MAX_LENGTH = 2, 254
"""What the length field may say: a unit and a function at least, 253 bytes of PDU at most (Guide §3.1.3)."""
REFUSAL_LENGTH = 3
DIRECT_UNIT = frozenset({255})
"""A device that is no gateway may be addressed as 255 (Guide §4.4.1.2); only TCP has that."""
LAST_TRANSACTION = 0xFFFF

_NEED_MORE = NeedMore()


def encode_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A whole frame."""
    return HEADER.pack(transaction, 0, 1 + len(pdu), unit) + pdu


class TcpSession:
    """One connection: at most one question is open; see the module's head for what an answer must be."""

    def __init__(self) -> None:
        self.expects = 0
        self._buffer = Buffer()
        self._flood = self._whole = b""
        self._transaction = 0
        self._address = ""
        self._asked: Asked | None = None
        self._head = b""
        self._length = 0
        self._lost: ProtocolError | None = None
        self._skip = 0
        self._skip_error: ProtocolError | None = None
        self._ended = False

    def send(self, request: Request) -> bytes:
        """A frame with the next transaction id. :raises RequestError: naming what cannot be expressed."""
        asked = ask(request, DIRECT_UNIT)
        self._transaction = self._transaction % LAST_TRANSACTION + 1
        self._address, self._asked = request.address, asked
        self._length = 3 + asked.size
        self.expects = 6 + self._length
        # The answer that we hope for has exactly these first nine bytes.
        self._head = ANSWER.pack(self._transaction, 0, self._length, asked.unit, asked.function, asked.size)
        self._whole = self._flood = b""
        if self._buffer:
            self._buffer.clear()
        self._lost = self._skip_error = None
        self._skip, self._ended = 0, False
        return HEADER.pack(self._transaction, 0, 1 + len(asked.pdu), asked.unit) + asked.pdu

    def number(self, transaction: int) -> None:
        """The next question has this number; else they count by themselves."""
        self._transaction = transaction - 1

    def receive(self, data: bytes) -> None:
        """Bytes arrived; what would overflow the buffer comes back as garbage."""
        fits = len(data) == self.expects and data.startswith(self._head)
        if fits and self._asked is not None and not (self._buffer or self._skip or self._lost or self._whole):
            self._whole = data  # mostly: the answer, all of it and nothing else, at once
            return
        if self._whole:
            self._buffer.append(self._whole)
            self._whole = b""
        self._flood = (self._flood + self._buffer.append(data))[-self._buffer.limit :]

    def idle(self) -> None:
        """The input has ended: an unfinished frame stays unfinished."""
        self._ended = True

    def next_event(self) -> Event:
        """NeedMore, Garbage or the Telegram."""
        if self._whole and self._asked is not None:
            frame, self._whole = self._whole, b""
            function, self._asked = self._asked.function, None
            return Telegram(self._address, function, frame[9:], frame)
        if self._flood:
            return self._give_up(UnexpectedBytes("more bytes than any answer has"), flood=True)
        data = self._buffer.peek()
        if not data:
            return _NEED_MORE
        if self._skip:
            return self._skip_on(len(data))
        if self._lost is not None:
            return Garbage(self._buffer.clear(), self._lost)
        asked = self._asked
        if asked is None:
            return Garbage(self._buffer.clear(), UnexpectedBytes("nothing was asked", data=data))
        if len(data) >= self.expects and data.startswith(self._head):
            self._asked = None
            frame = self._buffer.take(self.expects)
            return Telegram(self._address, asked.function, frame[9:], frame)
        return self._unfit(data, asked)

    def _unfit(self, data: bytes, asked: Asked) -> Event:
        """Not the whole answer: what the bytes show so far."""
        if error := senseless(data):
            return self._give_up(error)
        if len(data) < 6:
            return self._unfinished(data)
        transaction, _, length = struct.unpack_from(">HHH", data)
        end = 6 + length
        frame = data[:end]
        if mismatch := self._mismatch(frame, transaction, length, asked):
            return self._skip_frame(end, mismatch)
        if len(data) < end:
            return self._unfinished(data)
        # All fits and all is there, and it is not the answer: it is the refusal.
        self._asked = None
        return Garbage(self._buffer.take(end), refused(frame[8], frame, 8))

    def _mismatch(self, frame: bytes, transaction: int, length: int, asked: Asked) -> ProtocolError | None:
        """The first thing that does not fit, in the order of the bytes; `frame` may be unfinished."""
        if transaction != self._transaction:
            return WrongTransaction(f"transaction {transaction}, asked as {self._transaction}", data=frame)
        if length not in (self._length, REFUSAL_LENGTH):
            return WrongLength(f"{length} bytes announced, the answer has {self._length}", data=frame, position=4)
        if len(frame) > 6 and frame[6] != asked.unit:
            return WrongUnit(f"unit {frame[6]} answers, unit {asked.unit} was asked", data=frame, position=6)
        if len(frame) > 7:
            if frame[7] & ~REFUSAL != asked.function:
                return WrongFunction(f"function {frame[7]}, {asked.function} was asked", data=frame, position=7)
            if bool(frame[7] & REFUSAL) != (length == REFUSAL_LENGTH):
                return WrongLength(f"function {frame[7]} with {length} bytes", data=frame, position=4)
            if len(frame) > 8 and length != REFUSAL_LENGTH and frame[8] != asked.size:
                return WrongLength(f"byte count {frame[8]}, the answer has {asked.size}", data=frame, position=8)
        return None

    def _unfinished(self, data: bytes) -> Event:
        if not self._ended:
            return _NEED_MORE
        return self._give_up(WrongLength(f"the input ends after {len(data)} bytes of a frame", data=data))

    def _skip_frame(self, end: int, error: ProtocolError) -> Event:
        held = len(self._buffer)
        self._skip, self._skip_error = end, error
        return self._skip_on(held)

    def _skip_on(self, held: int) -> Event:
        """The rest of a frame that is wrong, whenever it comes."""
        count = min(self._skip, held)
        self._skip -= count
        error = self._skip_error or UnexpectedBytes()
        return Garbage(self._buffer.take(count), error)

    def _give_up(self, error: ProtocolError, *, flood: bool = False) -> Event:
        """Framing is lost: all that came, and all that will come before the next question, is garbage."""
        self._lost, self._skip = error, 0
        data, self._flood = (self._flood if flood else self._buffer.clear()), b""
        return Garbage(data, error)


def senseless(data: bytes) -> UnexpectedBytes | None:
    """Why these bytes, as far as they go, are no MBAP header; None if they may be."""
    if any(data[2:4]):
        return UnexpectedBytes("the protocol identifier is not 0", data=data, position=2)
    if len(data) > 4 and data[4]:
        return UnexpectedBytes("no frame is that long", data=data, position=4)
    if len(data) > 5 and not MIN_LENGTH <= data[5] <= MAX_LENGTH:
        return UnexpectedBytes(f"no frame has a length of {data[5]}", data=data, position=4)
    return None
