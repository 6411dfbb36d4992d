"""A Modbus request as a session needs it: numbers taken from the registry's text, and what the answer must look like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from protocols.errors import RequestError
from protocols.modbus.pdu import Question, answer_size, encode_question
from protocols.telegram import Request

HIGHEST_UNIT = 247
"""MODBUS over Serial Line V1.02 §2.2: 1–247 are devices, 0 is everybody, 248–255 are reserved."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question on its way: the unit, the request PDU, and the byte count that its answer must have."""

    unit: int
    function: int
    size: int
    pdu: bytes


def parse_unit(address: str, also: frozenset[int] = frozenset()) -> int:
    """`"17"` → 17. :raises RequestError: naming an address that is no unit."""
    if address.isascii() and address.isdecimal() and len(address) <= 3:
        unit = int(address)
        if unit <= HIGHEST_UNIT or unit in also:
            return unit
    more = "".join(f" or {unit}" for unit in sorted(also))
    raise RequestError(f"{address!r} is no Modbus unit; write a number from 0 to {HIGHEST_UNIT}{more}")


def ask(request: Request, also: frozenset[int] = frozenset()) -> Asked:
    """The request as bytes and expectation. :raises RequestError: naming what cannot be expressed."""
    return _ask(request.address, request.function, request.target, request.count, also)


@lru_cache(4096)  # a line asks the same again and again
def _ask(address: str, function: int, target: str, count: int, also: frozenset[int]) -> Asked:
    unit = parse_unit(address, also)
    if not (target.isascii() and target.isdecimal()):
        raise RequestError(f"{target!r} is no wire address; write a number from 0 to 65535")
    pdu = encode_question(Question(function, int(target), count))
    return Asked(unit, function, answer_size(function, count), pdu)
