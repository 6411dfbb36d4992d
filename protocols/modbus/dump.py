"""What a string of bytes says, in either direction and with no question known: for `chaobiao decode`.

A question and its answer in one dump belong together: the answer's registers then have their wire addresses; otherwise
they count from 0. An answer to functions 1 and 2 with three data bytes looks like a question; behind its question it is
taken as the answer, alone as the question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocols.dialect import Decoded
from protocols.errors import ProtocolError, UnexpectedBytes, WrongLength
from protocols.modbus.blocks import read_words
from protocols.modbus.pdu import (
    BIT_FUNCTIONS,
    REFUSAL,
    Question,
    Refusal,
    answer_size,
    decode_answer,
    decode_question,
    refused,
)
from protocols.modbus.tcp import HEADER, MAX_LENGTH, MIN_LENGTH
from protocols.telegram import Garbage, Item, Telegram


@dataclass(frozen=True, slots=True)
class _Seen:
    """A question that an answer further on may belong to. `key`: unit, and transaction where there is one."""

    key: tuple[int, int]
    question: Question


def decode_tcp(data: bytes) -> list[Decoded]:
    """Every Modbus TCP frame in `data`, one after the other; what is none stands as garbage, to the end."""
    return list(_tcp_frames(data))


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
        decoded, seen = explain(frame, frame[HEADER.size :], (unit, transaction), seen, HEADER.size)
        yield decoded


def explain(
    frame: bytes, pdu: bytes, key: tuple[int, int], seen: _Seen | None, position: int
) -> tuple[Decoded, _Seen | None]:
    """What the PDU of a well-framed message says, and the question that the next one may answer."""
    asked = (
        seen.question if seen is not None and seen.key == key and seen.question.function == pdu[0] & ~REFUSAL else None
    )
    try:
        if asked is None or not _answers(pdu, asked):
            question = _question(pdu)
            if question is not None:
                return _asks(frame, key, question), _Seen(key, question)
        answer = decode_answer(pdu)
    except ProtocolError as error:
        placed = type(error)(error.detail, data=frame, position=position + error.position)
        return Decoded(Garbage(frame, placed)), None
    if isinstance(answer, Refusal):
        return Decoded(Garbage(frame, refused(answer.code, frame, position + 1)), direction="answer"), None
    start = asked.start if asked is not None else 0
    items = _bits(start, answer.data) if answer.function in BIT_FUNCTIONS else read_words(start, answer.data)
    detail = {"start": str(asked.start), "count": str(asked.count)} if asked is not None else {}
    telegram = Telegram(str(key[0]), answer.function, answer.data, frame, detail=detail)
    return Decoded(telegram, items, "answer"), None


def _answers(pdu: bytes, asked: Question) -> bool:
    if pdu[0] & REFUSAL:
        return True
    size = answer_size(asked.function, asked.count)
    return len(pdu) == 2 + size and pdu[1] == size


def _question(pdu: bytes) -> Question | None:
    """The question that these bytes are; None if only an answer can look like this."""
    try:
        return decode_question(pdu)
    except ProtocolError:  # then it is read as an answer, whose error, if any, is the one worth telling
        return None


def _asks(frame: bytes, key: tuple[int, int], question: Question) -> Decoded:
    detail = {"start": str(question.start), "count": str(question.count)}
    return Decoded(Telegram(str(key[0]), question.function, b"", frame, detail=detail), direction="request")


def _bits(start: int, data: bytes) -> tuple[Item, ...]:
    """Eight to a byte, the first one lowest; what pads the last byte cannot be told from values (§6.1)."""
    return tuple(
        Item(str(start + 8 * place + bit), bytes((byte,)), str(byte >> bit & 1))
        for place, byte in enumerate(data)
        for bit in range(8)
    )
