"""DL/T 645-2007 meters on one line, sans-io: bytes and a time in, delayed bytes out. Only the framing is shared.

Which identifier holds what, and how its digits are packed, is written here a second time, from the standard's tables, and
not taken from the collector's: a wrong identifier there shall find no twin here. A meter answers its own address, an
address whose high bytes are AA and whose low ones are its own, and `read address` to all AA. Where several answer at
once, they spoil each other's bytes, as they do on RS-485.

Sources: appendix A of DL/T 645-2007 as told in public implementations (formats: the PyPI package dlt645, lua-dlt645).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from protocols.dlt645.frame import ANSWER, ERROR, MORE, Frame, Framer, encode
from protocols.telegram import Garbage
from simulators.dlt645_records import records
from simulators.dlt645_values import Answer, answer_of
from simulators.errors import NoSuchData
from simulators.faults import FaultKind, spoilt
from simulators.memories import Memories
from simulators.meter import Meter
from simulators.truth import Truth

OTHER_ERROR, NO_DATA = 0x01, 0x02
WILDCARD = 0xAA
LONGEST = 200
"""Bytes of data in an answer; what is longer must be asked for again (functions 91 + more, 12)."""
IDENTIFIER = 4
LOAD_RECORDS = 0x06


class Function:
    """The lower five bits of the control byte."""

    READ = 0x11
    FOLLOW_UP = 0x12
    READ_ADDRESS = 0x13
    BROADCAST_TIME = 0x08


@dataclass(frozen=True, slots=True)
class Delayed:
    """Bytes that leave so many seconds after the request was whole."""

    data: bytes
    after_s: float


@dataclass
class Dlt645Meter:
    """One meter as this protocol knows it. `preamble`: how many FE it sends first; makers differ (0 to 4)."""

    address: str
    number: str
    meter: Meter
    preamble: int = 0
    longest: int = LONGEST
    memories: Memories = field(default_factory=Memories)
    exchanges: int = field(default=0, init=False)
    _rest: tuple[bytes, bytes] = field(default=(b"", b""), init=False)

    def is_meant(self, address: str) -> bool:
        """Whether a request to this address is for this meter: equal, but for leading AA."""
        asked, own = bytes.fromhex(address), bytes.fromhex(self.address)
        wild = len(asked) - len(asked.lstrip(bytes([WILDCARD])))
        return asked[wild:] == own[wild:]

    def answer(self, frame: Frame, at: datetime) -> tuple[bytes, Answer]:
        """The answer's frame, and what it shows."""
        nothing = Answer(b"")
        match frame.function:
            case Function.READ_ADDRESS:
                return self._frame(frame, bytes.fromhex(self.address)[::-1]), nothing
            case Function.READ if len(frame.data) >= IDENTIFIER:
                try:
                    said = self._said(frame.data[IDENTIFIER - 1 :: -1], frame.data[IDENTIFIER:], at)
                except NoSuchData:
                    return self._refuse(frame, NO_DATA), nothing
                return self._begin(frame, said.data), said
            case Function.FOLLOW_UP if len(frame.data) == IDENTIFIER + 1:
                return self._go_on(frame), nothing
            case _:
                return self._refuse(frame, OTHER_ERROR), nothing

    def _said(self, identifier: bytes, asked: bytes, at: datetime) -> Answer:
        if identifier[0] == LOAD_RECORDS and identifier[2:] == b"\x00\x01":
            return records(identifier[1], asked, self.meter, self.memories, at)
        return answer_of(identifier, self.meter, self.address, self.number, at, self.memories)

    def _begin(self, frame: Frame, data: bytes) -> bytes:
        identifier, room = frame.data[:IDENTIFIER], self.longest - IDENTIFIER
        self._rest = (identifier, data[room:])
        return self._frame(frame, identifier + data[:room], more=len(data) > room)

    def _go_on(self, frame: Frame) -> bytes:
        identifier, sequence = frame.data[:IDENTIFIER], frame.data[IDENTIFIER:]
        held, rest = self._rest
        if held != identifier or not rest:
            return self._refuse(frame, NO_DATA)
        room = self.longest - IDENTIFIER - len(sequence)
        self._rest = (identifier, rest[room:])
        return self._frame(frame, identifier + rest[:room] + sequence, more=len(rest) > room)

    def _frame(self, frame: Frame, data: bytes, *, more: bool = False) -> bytes:
        control = frame.function | ANSWER | (MORE if more else 0)
        return encode(self.address, control, data, preamble=b"\xfe" * self.preamble)

    def _refuse(self, frame: Frame, word: int) -> bytes:
        control = frame.function | ANSWER | ERROR
        return encode(self.address, control, bytes([word]), preamble=b"\xfe" * self.preamble)


class Dlt645Bus:
    """One RS-485 line. `receive` for bytes, `idle` when none came for a while; both may be called by several sockets."""

    def __init__(self, meters: Sequence[Dlt645Meter], *, truth: Truth, reply_s: float = 0.0) -> None:
        self.meters = tuple(meters)
        self._truth = truth
        self._reply_s = reply_s
        self._framer = Framer()

    def receive(self, data: bytes, now: Callable[[], datetime]) -> list[Delayed]:
        """Bytes came; `now` is asked only when a request is whole."""
        self._framer.receive(data)
        return list(self._answers(now))

    def idle(self, now: Callable[[], datetime]) -> list[Delayed]:
        """The line fell silent: a false start is given up, and what stood behind it is looked at."""
        self._framer.idle()
        return list(self._answers(now))

    def _answers(self, now: Callable[[], datetime]) -> Iterator[Delayed]:
        while (found := self._framer.next()) is not None:
            if isinstance(found, Garbage) or found.is_answer or found.function == Function.BROADCAST_TIME:
                continue
            at = now()
            sent = [
                data for one in self.meters if one.is_meant(found.address) and (data := self._leave(one, found, at))
            ]
            if sent:
                yield Delayed(_together(sent), self._reply_s)

    def _leave(self, one: Dlt645Meter, frame: Frame, at: datetime) -> bytes:
        """The answer as it leaves the meter: whole, spoilt, or not at all."""
        one.exchanges += 1
        data, said = one.answer(frame, at)
        match spoilt(one.meter.faults, at, one.exchanges):
            case FaultKind.SILENT:
                self._truth.spoil(one.meter.name, at, FaultKind.SILENT)
                return b""
            case FaultKind.BAD_CHECKSUM:
                self._truth.spoil(one.meter.name, at, FaultKind.BAD_CHECKSUM)
                return data[:-2] + bytes([data[-2] ^ 0x55]) + data[-1:]
            case _:
                self._truth.show(one.meter.name, at, said.displays)
                return data


def _together(sent: Sequence[bytes]) -> bytes:
    """What a listener hears when several speak: a low level wins over a high one, bit by bit."""
    heard = bytearray(b"\xff" * max(map(len, sent)))
    for data in sent:
        for place, byte in enumerate(data):
            heard[place] &= byte
    return bytes(heard)
