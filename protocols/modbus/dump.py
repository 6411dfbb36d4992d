"""What a string of bytes says, in either direction and with no question known: for `chaobiao decode`.

A question and its answer in one dump belong together: the answer's registers then have their wire addresses; otherwise
they count from 0. An answer to functions 1 and 2 with three data bytes looks like a question; behind its question it is
taken as the answer, alone as the question. Functions that we do not speak are shown raw. A device's "no" is a good frame:
a Telegram whose detail `refused` is the reason code; a question's details are `id` (first address) and `count`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from protocols.dialect import Decoded
from protocols.errors import BadChecksum, ProtocolError, UnexpectedBytes, WrongFunction, WrongLength
from protocols.modbus.blocks import read_words
from protocols.modbus.pdu import (
    BIT_FUNCTIONS,
    MAX_COUNT,
    REFUSAL,
    Question,
    answer_size,
    decode_answer,
    decode_question,
    refused,
)
from protocols.modbus.rtu import QUESTION_LENGTH, SHORTEST, answer_end, is_sound
from protocols.modbus.tcp import HEADER, MAX_LENGTH, MIN_LENGTH
from protocols.telegram import Garbage, Item, Telegram

LONGEST = 256
"""Bytes of an RTU frame (MODBUS over Serial Line V1.02 §2.3)."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A question that the next answer may belong to. `key`: unit, and transaction where there is one."""

    key: tuple[int, int]
    question: Question


def decode_tcp(data: bytes) -> list[Decoded]:
    """Every Modbus TCP frame in `data`, one after the other; what is none stands as garbage, to the end."""
    return list(_tcp_frames(data))


def decode_rtu(data: bytes) -> list[Decoded]:
    """Every Modbus RTU frame in `data`: what has a sound CRC at a length that its function allows; the rest is garbage."""
    return list(_rtu_frames(data))


def _tcp_frames(data: bytes) -> Iterator[Decoded]:
    seen: _Seen | None = None
    while data:
        if len(data) < HEADER.size:
            yield Decoded(Garbage(data, WrongLength("shorter than an MBAP header", data=data)))
            return
        transaction, protocol, length, unit = HEADER.unpack_from(data)
        if protocol or not MIN_LENGTH <= length <= MAX_LENGTH:
            yield Decoded(Garbage(data, UnexpectedBytes("no MBAP header", data=data, position=2)))
            return
        end = 6 + length
        if len(data) < end:
            error = WrongLength(f"{length} bytes announced, {len(data) - 6} follow", data=data, position=4)
            yield Decoded(Garbage(data, error))
            return
        frame, data = data[:end], data[end:]
        decoded, seen = _explain(frame, frame[HEADER.size :], (unit, transaction), seen, HEADER.size)
        yield decoded


def _rtu_frames(data: bytes) -> Iterator[Decoded]:
    seen: _Seen | None = None
    begin = 0
    while begin < len(data):
        place = begin
        while place < len(data) and not (end := _rtu_end(data, place)):
            place += 1
        if place > begin:
            yield Decoded(Garbage(data[begin:place], _rtu_fault(data, begin, place)))
        if place == len(data):
            return
        frame = data[place:end]
        decoded, seen = _explain(frame, frame[1:-2], (frame[0], 0), seen, 1)
        yield decoded
        begin = end


def _rtu_end(data: bytes, place: int) -> int:
    """Where the sound frame that begins at `place` ends; 0 if none does."""
    # The question first: a sound frame of 7 bytes stays sound with a zero behind it, so some questions begin with an answer.
    ends = [place + QUESTION_LENGTH] if _is_question(data[place + 1 : place + 6]) else []
    ends.append(answer_end(data, place))
    if SHORTEST <= len(data) - place <= LONGEST and data[place + 1] not in MAX_COUNT:
        ends.append(len(data))  # the length of what we do not speak is unknown: all or nothing
    return next((end for end in ends if place + SHORTEST <= end <= len(data) and is_sound(data[place:end])), 0)


def _rtu_fault(data: bytes, begin: int, end: int) -> ProtocolError:
    """Why the bytes from `begin` to `end` are no frame: what they look like decides."""
    piece = data[begin:end]
    looks_like = [answer_end(data, begin)] + ([begin + QUESTION_LENGTH] if _is_question(piece[1:6]) else [])
    if any(begin < one <= end for one in looks_like):
        return BadChecksum(data=piece)
    if any(one > len(data) for one in looks_like):
        return WrongLength(f"{max(looks_like) - begin} bytes announced, {len(data) - begin} are there", data=piece)
    return UnexpectedBytes(data=piece)


def _explain(
    frame: bytes, pdu: bytes, key: tuple[int, int], seen: _Seen | None, position: int
) -> tuple[Decoded, _Seen | None]:
    """What the PDU of a well-framed message says, and the question that the next one may answer."""
    function = pdu[0] & ~REFUSAL
    if pdu[0] & REFUSAL and len(pdu) == 2:
        code = refused(pdu[1], frame, position + 1).code
        return Decoded(
            Telegram(str(key[0]), pdu[0], pdu[1:], frame, detail={"refused": code}), direction="answer"
        ), None
    if function not in MAX_COUNT:
        raw = Item("pdu", pdu, reason="unknown")
        return Decoded(Telegram(str(key[0]), pdu[0], pdu[1:], frame), (raw,)), None
    asked = seen.question if seen is not None and seen.key == key and seen.question.function == function else None
    if not (asked is not None and _answers(pdu, asked)) and _is_question(pdu):
        question = decode_question(pdu)
        detail = {"id": str(question.start), "count": str(question.count)}
        telegram = Telegram(str(key[0]), function, b"", frame, detail=detail)
        return Decoded(telegram, direction="request"), _Seen(key, question)
    try:
        decode_answer(pdu)
    except (WrongLength, WrongFunction) as error:
        placed = type(error)(error.detail, data=frame, position=position + error.position)
        return Decoded(Garbage(frame, placed)), None
    start, payload = asked.start if asked is not None else 0, pdu[2:]
    items = _bits(start, payload) if function in BIT_FUNCTIONS else read_words(start, payload)
    return Decoded(Telegram(str(key[0]), function, payload, frame), items, "answer"), None


def _answers(pdu: bytes, asked: Question) -> bool:
    size = answer_size(asked.function, asked.count)
    return len(pdu) == 2 + size and pdu[1] == size


def _is_question(pdu: bytes) -> bool:
    try:
        decode_question(pdu)
    except (WrongLength, WrongFunction):  # it is read as an answer then, whose error, if any, is the one worth telling
        return False
    return True


def _bits(start: int, data: bytes) -> tuple[Item, ...]:
    """Eight to a byte, the first one lowest; what pads the last byte cannot be told from values (§6.1)."""
    return tuple(
        Item(str(start + 8 * place + bit), bytes((byte,)), Decimal(byte >> bit & 1))
        for place, byte in enumerate(data)
        for bit in range(8)
    )
