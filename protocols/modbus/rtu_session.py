"""The Modbus RTU session: finds the one answer that was asked for, behind any noise, and names what else came.

The answer that we wait for begins with three known bytes (unit, function, byte count) or, as a refusal, with two, and its
length is known from the start. Each verdict rests on the shortest input that shows it, so every slicing of the input
gives the same verdicts:

    begins like the answer   wait until it is whole, then the CRC decides: Telegram, Refused or BadChecksum
    unit and function fit,   WrongLength at once, and so is all that follows and begins no answer, up to the silence
      byte count does not
    begins otherwise         held, for it may be another device's frame or noise before the answer: given up as soon as
                             a foreign answer with a sound CRC is whole (WrongUnit, WrongFunction), or the right answer
                             stands behind it (UnexpectedBytes), or at `idle`
    our own request          UnexpectedBytes: a line with an echo, which the channel's settings must name. Some requests
                             begin with a sound answer to themselves, so what may be the echo waits for its last byte

After `idle` nothing is waited for: what is there is taken apart from the next byte on. A stretch between two silences with
a sound CRC is a frame (that is RTU's own definition, MODBUS over Serial Line V1.02 §2.5.1.1) and is named by what does
not fit; an answer cut short is WrongLength.
"""

from __future__ import annotations

from protocols.buffer import Buffer
from protocols.errors import BadChecksum, ProtocolError, UnexpectedBytes, WrongFunction, WrongLength, WrongUnit
from protocols.modbus.pdu import REFUSAL, refused
from protocols.modbus.rtu import QUESTION_LENGTH, REFUSAL_LENGTH, SHORTEST, answer_end, encode_frame, is_sound
from protocols.modbus.unit import Asked, ask
from protocols.telegram import Event, Garbage, NeedMore, Request, Telegram

_NEED_MORE = NeedMore()


class RtuSession:
    """One line: at most one question is open."""

    def __init__(self) -> None:
        self.expects = 0
        self._buffer = Buffer()
        self._flood = b""
        self._address = ""
        self._asked: Asked | None = None
        self._request = self._head = self._no = b""
        self._whole = 0
        self._examined = 0
        self._final = 0
        self._spoilt: type[ProtocolError] | None = None

    def send(self, request: Request) -> bytes:
        """The frame. :raises RequestError: naming what cannot be expressed."""
        asked = ask(request)
        self._address, self._asked = request.address, asked
        self._request = encode_frame(asked.unit, asked.pdu)
        self._head = bytes((asked.unit, asked.function, asked.size))
        self._no = bytes((asked.unit, asked.function | REFUSAL))
        self.expects = self._whole = 5 + asked.size
        self._buffer.clear()
        self._flood = b""
        self._examined = self._final = 0
        self._spoilt = None
        return self._request

    def receive(self, data: bytes) -> None:
        """Bytes arrived; what would overflow the buffer comes back as garbage."""
        flood = self._buffer.append(data)
        if flood:
            self._flood = (self._flood + flood)[-self._buffer.limit :]
            self._examined = 0
            self._final = max(0, self._final - len(flood))

    def idle(self) -> None:
        """Silence: what is held now stands alone."""
        self._final = len(self._buffer)
        if not self._final:
            self._spoilt = None

    def next_event(self) -> Event:
        """NeedMore, Garbage or the Telegram."""
        if self._flood:
            flood, self._flood = self._flood, b""
            return Garbage(flood, UnexpectedBytes("more bytes than any answer has", data=flood))
        data = self._buffer.peek()
        if not data:
            return _NEED_MORE
        asked = self._asked
        if asked is None:
            return self._give_up(len(data), UnexpectedBytes("nothing was asked", data=data))
        if self._final:
            data = data[: self._final]
        if self._request.startswith(data[:QUESTION_LENGTH]):
            if len(data) >= QUESTION_LENGTH:
                error = UnexpectedBytes(
                    "our own request came back; a channel with an echo must say so", data=self._request
                )
                return self._give_up(QUESTION_LENGTH, error)
            if not self._final:  # even where these bytes are a sound answer: there are requests that begin with one
                return _NEED_MORE
        if data.startswith(self._head):
            if len(data) >= self._whole and is_sound(data[: self._whole]):
                self._asked = None
                frame = self._take(self._whole)
                return Telegram(self._address, asked.function, frame[3:-2], frame)
        elif len(data) >= REFUSAL_LENGTH and data.startswith(self._no) and is_sound(data[:REFUSAL_LENGTH]):
            self._asked = None
            frame = self._take(REFUSAL_LENGTH)
            return Garbage(frame, refused(frame[2], frame, 2))
        return self._look(data, asked) or (self._look_finally(data, asked) if self._final else _NEED_MORE)

    def _look(self, data: bytes, asked: Asked) -> Event | None:
        """What can be said without knowing whether more will come; None: nothing yet."""
        if self._may_begin(data, 0):
            length = REFUSAL_LENGTH if data.startswith(self._no) else self._whole
            if len(data) < length:
                return None
            return self._spoil(data, BadChecksum(data=data[:length], position=length - 2))
        if self._spoilt is not None:
            return self._spoil(data, self._spoilt("what follows a broken frame", data=data))
        if len(data) >= 3 and data[:2] == self._head[:2]:
            error = WrongLength(f"byte count {data[2]}, the answer has {asked.size}", data=data, position=2)
            return self._spoil(data, error)
        return self._search(data, asked)

    def _search(self, data: bytes, asked: Asked) -> Event | None:
        """Noise or another's frame stands first: look for the first place where a sound frame ends."""
        foreign = answer_end(data, 0)
        for end in range(max(self._examined + 1, SHORTEST), len(data) + 1):
            for begin, head in ((end - self._whole, self._head), (end - REFUSAL_LENGTH, self._no)):
                if begin > 0 and data.startswith(head, begin) and is_sound(data[begin:end]):
                    return self._give_up(begin, UnexpectedBytes("bytes before the answer", data=data[:begin]))
            if end == foreign and is_sound(data[:end]):
                return self._give_up(end, _named(data[:end], asked))
        self._examined = len(data)
        return None

    def _look_finally(self, data: bytes, asked: Asked) -> Event:
        """Nothing more will come to what is held: it is given up, up to where something may begin."""
        if is_sound(data):
            return self._give_up(len(data), _named(data, asked))
        if self._may_begin(data, 0):
            error: ProtocolError = WrongLength(f"the line falls silent after {len(data)} bytes of an answer", data=data)
        else:
            error = UnexpectedBytes(data=data)
        place = 1
        while place < len(data) and not self._may_begin(data, place):
            end = answer_end(data, place)
            if 0 < end <= len(data) and is_sound(data[place:end]):
                break
            place += 1
        return self._give_up(place, error)

    def _may_begin(self, data: bytes, place: int) -> bool:
        """Whether the answer, a refusal or the echo of our request may begin here, as far as the bytes go."""
        start = data[place : place + QUESTION_LENGTH]
        return self._head.startswith(start[:3]) or start.startswith(self._no) or self._request.startswith(start)

    def _spoil(self, data: bytes, error: ProtocolError) -> Event:
        """A broken frame: it, and what follows without silence, is one piece of garbage, but for a new beginning."""
        self._spoilt = type(error)
        place = 1
        while place < len(data) and not self._may_begin(data, place):
            place += 1
        return self._give_up(place, error)

    def _give_up(self, count: int, error: ProtocolError) -> Event:
        return Garbage(self._take(count), error)

    def _take(self, count: int) -> bytes:
        taken = self._buffer.take(count)
        self._examined = 0
        if self._final:
            self._final = max(0, self._final - count)
            if not self._final:
                self._spoilt = None
        return taken


def _named(frame: bytes, asked: Asked) -> ProtocolError:
    """The first thing that does not fit in a frame that is sound."""
    if frame[0] != asked.unit:
        return WrongUnit(f"unit {frame[0]} answers, unit {asked.unit} was asked", data=frame)
    if frame[1] & ~REFUSAL != asked.function:
        return WrongFunction(f"function {frame[1]}, {asked.function} was asked", data=frame, position=1)
    return WrongLength(f"a frame of {len(frame)} bytes is no answer to the question", data=frame, position=2)
