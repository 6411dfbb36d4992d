"""OBIS codes: the names of quantities (IEC 62056-61 / EN 62056-6-1, "A-B:C.D.E*F").

All six groups are kept; a code equals another only if all six do. Group F = 255 means "not used" and is not written.
What the standard refuses is refused here: groups are unsigned bytes, A is a medium (0–15), B a channel (0–64 for
channels, 65–127 utility specific, 128–199 manufacturer specific, 200–255 reserved), and nothing is guessed from a
shorter spelling: `1.8.0` alone names no medium and is no code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocols.errors import ObisError

UNUSED = 255
_SPELLING = re.compile(
    r"(0|[1-9]\d{0,2})-(0|[1-9]\d{0,2}):(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})(?:\*(\d{1,3}))?"
)

ABSTRACT, ELECTRICITY, HEAT_COST, COOLING, HEAT, GAS, COLD_WATER, HOT_WATER = 0, 1, 4, 5, 6, 7, 8, 9


@dataclass(frozen=True, slots=True, order=True)
class Obis:
    """One OBIS code, groups A to F.

    :raises ObisError: if a group is outside what IEC 62056-61 §5 gives it.
    """

    a: int
    b: int
    c: int
    d: int
    e: int
    f: int = UNUSED

    def __post_init__(self) -> None:
        if not 0 <= self.a <= 15:
            raise ObisError(f"group A (medium) is {self.a}; it is a number from 0 to 15")
        if not 0 <= self.b <= 199:
            raise ObisError(f"group B (channel) is {self.b}; 0 to 199 may be used, 200 to 255 are reserved")
        for name, group in zip("CDEF", (self.c, self.d, self.e, self.f), strict=True):
            if not 0 <= group <= 255:
                raise ObisError(f"group {name} is {group}; it is a number from 0 to 255")

    def __str__(self) -> str:
        code = f"{self.a}-{self.b}:{self.c}.{self.d}.{self.e}"
        return code if self.f == UNUSED else f"{code}*{self.f:02d}"

    @classmethod
    def parse(cls, text: str) -> Obis:
        """`1-0:1.8.0` or `1-0:1.8.0*01`.

        :raises ObisError: naming the text and what is wrong with it.
        """
        match = _SPELLING.fullmatch(text)
        if match is None:
            raise ObisError(f"{text!r} is no OBIS code; write it as 1-0:1.8.0 or 1-0:1.8.0*01")
        groups = [int(group) for group in match.groups(default=str(UNUSED))]
        try:
            code = cls(*groups)
        except ObisError as error:
            raise ObisError(f"{text!r}: {error}") from None
        if match.group(6) is not None and code.f == UNUSED:
            raise ObisError(f"{text!r}: *255 means 'not used' and is not written")
        return code
