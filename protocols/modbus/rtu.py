"""Modbus RTU framing: unit (1) │ PDU │ CRC-16 (2, low byte first). No length, no start: the CRC and silence delimit it.

MODBUS over Serial Line V1.02 §2.5.1 and appendix B: polynomial 0xA001 (0x8005 reflected), initial value 0xFFFF. A frame
followed by its own CRC has the checksum 0. Two flipped bits, or a burst of up to 16, never pass.
"""

from __future__ import annotations

import struct
from array import array
from functools import cache

from protocols.modbus.pdu import MAX_COUNT, REFUSAL, REGISTER_FUNCTIONS, answer_size

SHORTEST = 4
"""Unit, function and CRC."""
QUESTION_LENGTH = 8
REFUSAL_LENGTH = 5
HIGHEST_FUNCTION = 43
"""The highest public function code (Application Protocol §5.1); noise likes to be FF, which would be a refusal of 127."""
_WRITE_ANSWERS = {5: 8, 6: 8, 15: 8, 16: 8}
"""Lengths of what a device answers to the write functions (Application Protocol §6.5, 6.6, 6.11, 6.12)."""


def _byte_steps() -> array[int]:
    steps = array("H")
    for step in range(256):
        for _ in range(8):
            step = step >> 1 ^ (0xA001 if step & 1 else 0)  # noqa: PLW2901 - eight shifts of the one number
        steps.append(step)
    return steps


_BYTE_STEPS = _byte_steps()


@cache
def _word_steps() -> array[int]:
    """What two bytes at once do to the checksum: it is 16 bits wide, so nothing of it is left over (half the steps)."""
    steps = _BYTE_STEPS
    firsts = [word >> 8 ^ steps[word & 0xFF] for word in range(0x10000)]
    return array("H", [first >> 8 ^ steps[first & 0xFF] for first in firsts])


def checksum(data: bytes) -> int:
    """CRC-16 of any bytes; on the wire its low byte comes first."""
    crc, odd = 0xFFFF, len(data) & 1
    if odd:
        crc = crc >> 8 ^ _BYTE_STEPS[(crc ^ data[0]) & 0xFF]
    steps = _word_steps()
    for word in struct.unpack_from(f"<{len(data) >> 1}H", data, odd):
        crc = steps[crc ^ word]
    return crc


def is_sound(frame: bytes) -> bool:
    """Whether the last two bytes are the CRC of all before."""
    return len(frame) >= SHORTEST and checksum(frame) == 0


def encode_frame(unit: int, pdu: bytes) -> bytes:
    """A whole frame."""
    body = bytes((unit,)) + pdu
    return body + checksum(body).to_bytes(2, "little")


def answer_end(data: bytes, place: int) -> int:
    """Where the answer that may begin at `place` ends, by its function and byte count; 0 if nothing can be said."""
    if place + 1 >= len(data):
        return 0
    function = data[place + 1]
    if function & REFUSAL:
        return place + REFUSAL_LENGTH if 1 <= function & ~REFUSAL <= HIGHEST_FUNCTION else 0
    if function in _WRITE_ANSWERS:
        return place + _WRITE_ANSWERS[function]
    if function not in MAX_COUNT or place + 2 >= len(data):
        return 0
    size = data[place + 2]
    possible = 1 <= size <= answer_size(function, MAX_COUNT[function])
    if not possible or (function in REGISTER_FUNCTIONS and size % 2):
        return 0
    return place + REFUSAL_LENGTH + size
