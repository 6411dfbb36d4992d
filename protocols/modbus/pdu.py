"""What is said in Modbus, whatever carries it: questions and answers of functions 1–4, and refusals.

Clauses are those of the MODBUS Application Protocol Specification V1.1b3. Nothing here knows a unit, a checksum or a
transaction: `tcp` and `rtu` put those around. Encoding refuses what the specification refuses; decoding raises a
`ProtocolError` for bytes that are no such message.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocols.errors import Refused, RequestError, WrongFunction, WrongLength

READ_COILS, READ_DISCRETE_INPUTS, READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS = 1, 2, 3, 4
BIT_FUNCTIONS = (READ_COILS, READ_DISCRETE_INPUTS)
REGISTER_FUNCTIONS = (READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS)

MAX_COUNT = {1: 2000, 2: 2000, 3: 125, 4: 125}
"""Most bits or registers in one answer (§6.1–6.4: 0x7D0 and 0x7D)."""

REFUSAL = 0x80
"""Set in the function code of an exception answer (§7)."""

_QUESTION = struct.Struct(">BHH")
_REASONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledged, still working",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "the device behind the gateway does not answer",
}
_CODES = {10: "gateway_path_unavailable", 11: "gateway_no_answer"}


@dataclass(frozen=True, slots=True)
class Question:
    """Read `count` bits or registers from the 0-based wire address `start`."""

    function: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` as it stands behind the byte count: registers big-endian, or bits with the first one lowest."""

    function: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """The device understood and says no; `function` without the refusal bit."""

    function: int
    code: int


def answer_size(function: int, count: int) -> int:
    """The byte count of the answer: two per register, bits rounded up to whole bytes (§6.1–6.4)."""
    return (count + 7) // 8 if function in BIT_FUNCTIONS else 2 * count


def encode_question(question: Question) -> bytes:
    """Function, start, count. :raises RequestError: for what §6.1–6.4 do not allow."""
    limit = MAX_COUNT.get(question.function)
    if limit is None:
        raise RequestError(f"Modbus function {question.function} is none of the read functions 1 to 4")
    if not 1 <= question.count <= limit:
        raise RequestError(f"function {question.function} reads 1 to {limit} at a time, not {question.count}")
    if not 0 <= question.start <= 0x10000 - question.count:
        raise RequestError(f"{question.count} from wire address {question.start} leaves the range 0 to 65535")
    return _QUESTION.pack(question.function, question.start, question.count)


def decode_question(pdu: bytes) -> Question:
    """:raises WrongFunction, WrongLength: if these bytes are no question of functions 1–4."""
    if not pdu or pdu[0] not in MAX_COUNT:
        raise WrongFunction("no read function 1 to 4", data=pdu)
    if len(pdu) != _QUESTION.size:
        raise WrongLength(f"a read request is {_QUESTION.size} bytes long, not {len(pdu)}", data=pdu)
    function, start, count = _QUESTION.unpack(pdu)
    if not 1 <= count <= MAX_COUNT[function] or start + count > 0x10000:
        raise WrongLength(f"a request for {count} from {start} cannot be answered", data=pdu, position=3)
    return Question(function, start, count)


def encode_answer(answer: Answer | Refusal) -> bytes:
    """Function, byte count, data; or function | 0x80 and the exception code."""
    if isinstance(answer, Refusal):
        return bytes((answer.function | REFUSAL, answer.code))
    return bytes((answer.function, len(answer.data))) + answer.data


def decode_answer(pdu: bytes) -> Answer | Refusal:
    """:raises WrongFunction, WrongLength: if these bytes are no answer to functions 1–4."""
    if not pdu or pdu[0] & ~REFUSAL not in MAX_COUNT:
        raise WrongFunction("no answer to a read function 1 to 4", data=pdu)
    function = pdu[0] & ~REFUSAL
    if len(pdu) < 2:
        raise WrongLength("an answer of one byte", data=pdu)
    if pdu[0] & REFUSAL:
        if len(pdu) != 2:
            raise WrongLength(f"an exception answer is 2 bytes long, not {len(pdu)}", data=pdu)
        return Refusal(function, pdu[1])
    if len(pdu) != 2 + pdu[1]:
        raise WrongLength(f"the byte count says {pdu[1]}, {len(pdu) - 2} follow", data=pdu, position=1)
    if not 1 <= pdu[1] <= answer_size(function, MAX_COUNT[function]) or (function in REGISTER_FUNCTIONS and pdu[1] % 2):
        raise WrongLength(f"no answer to function {function} has {pdu[1]} bytes", data=pdu, position=1)
    return Answer(function, pdu[2:])


def refused(code: int, frame: bytes, position: int) -> Refused:
    """The device's no, as an error: `exception_2`; a gateway's own two codes (§7) by their names."""
    words = _REASONS.get(code, "an exception code that the specification does not have")
    return Refused(
        f"exception {code}: {words}", code=_CODES.get(code, f"exception_{code}"), data=frame, position=position
    )
