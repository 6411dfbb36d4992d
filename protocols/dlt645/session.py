"""One line's talk in DL/T 645-2007: a request is remembered, and only a frame that answers it becomes a `Telegram`.

An answer must come from the address asked (where that has no wildcard), carry the function asked, and name the data
identifier asked, a follow-up its number too. Everything else is `Garbage` with the error that says why; a D1 or D2 answer is
the meter's "no": `Refused`. A frame without the answer bit is our own echo on a half-duplex line, or another master.
"""

from __future__ import annotations

import re

from protocols.dlt645.address import ANYONE, LENGTH, VALID_BYTES, fits, from_wire, full_address
from protocols.dlt645.controls import (
    BROADCAST_TIME,
    FOLLOW_UP,
    IDENTIFIER_LENGTH,
    READ,
    READ_ADDRESS,
    RELAY,
    WRITE,
    error_text,
    identifier,
    name_of,
    relay_detail,
)
from protocols.dlt645.frame import FUNCTION, Frame, Framer, encode
from protocols.errors import (
    BadDigits,
    ForeignAddress,
    ProtocolError,
    Refused,
    RequestError,
    UnexpectedBytes,
    WrongFunction,
    WrongIdentifier,
    WrongLength,
)
from protocols.telegram import Event, Garbage, NeedMore, Request, Telegram

_IDENTIFIER = re.compile(r"[0-9A-F]{8}", re.ASCII)
LAST_SEQUENCE = 255


def request_data(request: Request) -> bytes:
    """The plain data of a request: identifier low byte first, what else is asked or written, for a follow-up its number.

    :raises RequestError: for another function, no identifier, or a number that one byte does not hold.
    """
    if request.function == READ_ADDRESS:
        return b""
    if request.function == BROADCAST_TIME:
        return request.data
    if request.function not in (READ, FOLLOW_UP, WRITE):
        raise RequestError(f"function {request.function:02X}H is none that a session asks: 08, 11, 12, 13 or 14")
    if not _IDENTIFIER.fullmatch(request.target):
        raise RequestError(f"{request.target!r} is no data identifier; write it as 00010000")
    data = bytes.fromhex(request.target)[::-1]
    if request.function in (READ, WRITE):
        return data + request.data
    if not 1 <= request.count <= LAST_SEQUENCE:
        raise RequestError(f"follow-ups are numbered 1 to {LAST_SEQUENCE}, not {request.count}")
    return data + bytes([request.count])


class Dlt645Session:
    """`protocols.telegram.Session` for DL/T 645-2007."""

    def __init__(self) -> None:
        self.expects = 0
        self._framer = Framer()
        self._request: Request | None = None
        self._sent = b""

    def send(self, request: Request) -> bytes:
        """The frame, with its preamble; what came before is forgotten. :raises RequestError: as `request_data`."""
        frame = encode(request.address, request.function, request_data(request))
        self._framer.clear()
        self._request, self._sent = request, frame.lstrip(b"\xfe")
        return frame

    def receive(self, data: bytes) -> None:
        """Bytes arrived."""
        self._framer.receive(data)

    def idle(self) -> None:
        """Silence, or the end of the input."""
        self._framer.idle()

    def next_event(self) -> Event:
        """The next thing that can be said about what arrived."""
        match self._framer.next():
            case None:
                return NeedMore()
            case Garbage() as garbage:
                return garbage
            case frame:
                return self._judge(frame)

    def _judge(self, frame: Frame) -> Event:
        error = self._objection(frame)
        return telegram(frame) if error is None else Garbage(frame.raw, error)

    def _objection(self, frame: Frame) -> ProtocolError | None:
        request, raw = self._request, frame.raw
        if not frame.is_answer:
            what = "our own request came back (echo)" if raw == self._sent else "a request, not an answer"
            return UnexpectedBytes(what, data=raw, position=8)
        if request is None:
            return UnexpectedBytes("an answer that nobody asked for", data=raw)
        asked = full_address(request.address)
        if not fits(asked, frame.address):
            return ForeignAddress(f"meter {frame.address} answers, {asked} was asked", data=raw, position=1)
        if frame.function != request.function & FUNCTION:
            what = f"the answer is to {name_of(frame.function)}, asked was {name_of(request.function)}"
            return WrongFunction(what, data=raw, position=8)
        if frame.is_error:
            return Refused(f"the meter refuses: {error_text(frame.data)}", data=raw, position=10)
        if request.function == READ_ADDRESS:
            return address_objection(frame)
        if request.function == WRITE:
            return None  # "done" has no data: what was written is proven by reading it back
        return _misses(frame, request)


def _misses(frame: Frame, request: Request) -> ProtocolError | None:
    """Why an answer is not about the identifier that was asked for, or not the follow-up."""
    found, raw = identifier(frame), frame.raw
    if found is None:
        return WrongLength("the answer is too short for its identifier", data=raw, position=9)
    if found != request.target:
        return WrongIdentifier(f"the answer is about {found}, asked was {request.target}", data=raw, position=10)
    if request.function == FOLLOW_UP:
        if len(frame.data) <= IDENTIFIER_LENGTH:
            return WrongLength("a follow-up without its number", data=raw, position=9)
        if frame.data[-1] != request.count:
            what = f"follow-up {frame.data[-1]} came, {request.count} was asked"
            return WrongIdentifier(what, data=raw, position=len(raw) - 3)
    return None


def address_objection(frame: Frame) -> ProtocolError | None:
    """What is wrong with the address that a read-address answer tells."""
    if len(frame.data) != LENGTH:
        return WrongLength("an address of another length than six bytes", data=frame.raw, position=9)
    if not VALID_BYTES.issuperset(frame.data):
        return BadDigits("the address told is not in decimal digits", data=frame.raw, position=10)
    return None


def telegram(frame: Frame) -> Telegram:
    """A frame in the words of every protocol: `payload` is what stands behind the identifier, without a follow-up's number.

    `detail`: `name` of the function, `id` the identifier, `seq` the follow-up's number, `err` and `refused` of an error
    answer, the fields of a relay command.
    """
    payload, address = frame.data, frame.address
    detail: dict[str, str] = {"name": name_of(frame.function)}
    if frame.is_error:
        detail |= {"err": frame.data.hex().upper(), "refused": error_text(frame.data)}
    elif (found := identifier(frame)) is not None:
        detail["id"] = found
        payload = payload[IDENTIFIER_LENGTH:]
        if frame.function == FOLLOW_UP and payload:
            detail["seq"] = str(payload[-1])
            payload = payload[:-1]
    elif frame.function == RELAY and not frame.is_answer:
        detail |= relay_detail(payload)
    elif frame.function == READ_ADDRESS and address == ANYONE and len(payload) == LENGTH:
        address = from_wire(payload)
    return Telegram(address, frame.control, payload, frame.raw, more=frame.more, detail=detail)
