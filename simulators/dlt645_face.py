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
from datetime import date, datetime, timedelta

from protocols.dlt645.frame import ANSWER, ERROR, MORE, Frame, Framer, encode
from protocols.telegram import Garbage
from simulators.dlt645_events import Event, events_of
from simulators.dlt645_records import records
from simulators.dlt645_values import Answer, answer_of
from simulators.errors import NoSuchData
from simulators.faults import FaultKind, spoilt
from simulators.memories import Memories
from simulators.meter import Meter
from simulators.truth import Truth

OTHER_ERROR, NO_DATA, WRONG_PASSWORD = 0x01, 0x02, 0x04
WILDCARD = 0xAA
LONGEST = 200
"""Bytes of data in an answer; what is longer must be asked for again (functions 91 + more, 12)."""
IDENTIFIER = 4
LOAD_RECORDS = 0x06
EVENTS = (0x03, 0x1D, 0x1E)
STATUS, BLOCK = b"\x04\x00\x05", 0xFF
DATE, TIME = b"\x04\x00\x01\x01", b"\x04\x00\x01\x02"
BROADCAST = "9" * 12
REACH = timedelta(minutes=5)
"""A broadcast time is taken where the clock is off by no more …"""
MIDNIGHT = timedelta(minutes=5)
"""… once a day, and not so near to midnight."""
PATIENCE, LOCKED = 3, timedelta(days=1)
"""After so many wrong passwords in a row none is believed for a day."""


class Function:
    """The lower five bits of the control byte."""

    READ = 0x11
    FOLLOW_UP = 0x12
    READ_ADDRESS = 0x13
    WRITE = 0x14
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
    password: bytes = b"\x02\x00\x00\x00"
    events: Sequence[Event] = ()
    """What happened to it, beside power cuts."""
    status: Sequence[int] = (0,) * 7
    status_block: bool = True
    """Whether it gives all status words in one answer."""
    wrong_passwords: int = field(default=0, init=False)
    _rest: tuple[bytes, bytes] = field(default=(b"", b""), init=False)
    _locked_until: datetime | None = field(default=None, init=False)
    _told_on: date | None = field(default=None, init=False)

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
            case Function.WRITE if len(frame.data) > IDENTIFIER + 8:
                return self._write(frame, at), nothing
            case Function.FOLLOW_UP if len(frame.data) == IDENTIFIER + 1:
                return self._go_on(frame), nothing
            case _:
                return self._refuse(frame, OTHER_ERROR), nothing

    def _said(self, identifier: bytes, asked: bytes, at: datetime) -> Answer:
        if identifier[0] in EVENTS:
            return Answer(events_of(identifier, self.meter, self._happened, at))
        if identifier[:3] == STATUS:
            return Answer(self._status(identifier[3]))
        if identifier[0] == LOAD_RECORDS and identifier[2:] == b"\x00\x01":
            return records(identifier[1], asked, self.meter, self.memories, at)
        return answer_of(identifier, self.meter, self.address, self.number, at, self.memories)

    @property
    def _happened(self) -> list[Event]:
        """A power cut is known to the meter afterwards, by itself."""
        cuts = [
            Event("power_down", fault.start, fault.end)
            for fault in self.meter.faults
            if fault.kind is FaultKind.POWER_DOWN
        ]
        return [*cuts, *self.events]

    def _status(self, word: int) -> bytes:
        if word == BLOCK and self.status_block:
            return b"".join(one.to_bytes(2, "little") for one in self.status)
        if not 1 <= word <= len(self.status):
            raise NoSuchData
        return self.status[word - 1].to_bytes(2, "little")

    def _write(self, frame: Frame, at: datetime) -> bytes:
        """Date and time of day can be written, by password."""
        if self._locked_until is not None and at < self._locked_until:
            return self._refuse(frame, WRONG_PASSWORD)
        if frame.data[IDENTIFIER : IDENTIFIER + 4] != self.password:
            self.wrong_passwords += 1
            if self.wrong_passwords % PATIENCE == 0:
                self._locked_until = at + LOCKED
            return self._refuse(frame, WRONG_PASSWORD)
        identifier, digits = frame.data[IDENTIFIER - 1 :: -1], frame.data[IDENTIFIER + 8 :][::-1].hex()
        shown = self.meter.clock(at)
        try:
            if identifier == DATE:
                stamp = datetime.combine(datetime.strptime(digits[:6], "%y%m%d").date(), shown.time())  # noqa: DTZ007 - a meter's clock knows no zone
            elif identifier == TIME:
                stamp = datetime.combine(shown.date(), datetime.strptime(digits, "%H%M%S").time())  # noqa: DTZ007 - as above
            else:
                return self._refuse(frame, NO_DATA)
        except ValueError:
            return self._refuse(frame, OTHER_ERROR)
        self.meter.timepiece.set_to(stamp, at)
        return self._frame(frame, b"")

    def hear_time(self, frame: Frame, at: datetime) -> None:
        """A broadcast: taken once a day, where the clock is off by little."""
        shown = self.meter.clock(at)
        try:
            stamp = datetime.strptime(frame.data[::-1].hex(), "%y%m%d%H%M%S")  # noqa: DTZ007 - as above
        except ValueError:
            return
        near = (shown - MIDNIGHT).date() != (shown + MIDNIGHT).date()
        if abs(stamp - shown) <= REACH and not near and self._told_on != shown.date():
            self._told_on = shown.date()
            self.meter.timepiece.set_to(stamp, at)

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
            if isinstance(found, Garbage) or found.is_answer:
                continue
            at = now()
            if found.function == Function.BROADCAST_TIME:
                for one in self.meters if found.address == BROADCAST else ():
                    one.hear_time(found, at)
                continue
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
            case FaultKind.SILENT | FaultKind.POWER_DOWN as kind:
                self._truth.spoil(one.meter.name, at, kind)
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
