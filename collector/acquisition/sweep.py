"""Finding Modbus devices: every unit is asked, one after the other. Sans-io and pure, driven as `scan` is.

A unit is there if it answers to a read of one register, and a refusal is an answer. Some devices are silent to a function that
they do not have, so both register functions are asked. Many devices on Modbus TCP do not look at the unit and answer for all of
them: that is one device, and is called so only if the units that nobody asked for answer as well.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from collector.acquisition.scan import (
    DISTURBANCES,
    DISTURBED,
    LATE,
    MOST_STRANGERS,
    NOBODY,
    Findings,
    Heard,
    Search,
    Steps,
)
from protocols.modbus.pdu import READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS
from protocols.modbus.unit import HIGHEST_UNIT
from protocols.telegram import Request

REGISTER = "0"
LEAST_UNITS = 4
"""Fewer than these may well all be there."""
PROOFS = 3
"""Units out of the range that are asked when all in it answered."""


def unit_sweep(units: Sequence[int], *, retries: int = 0) -> Search:
    """The devices among these units. `retries`: of a question that nobody answered."""
    findings = Findings()
    return Steps(_sweep(units, findings, 1 + retries), findings)


def _sweep(units: Sequence[int], findings: Findings, tries: int) -> Generator[Request, Heard, None]:
    strangers: set[str] = set()
    for place, unit in enumerate(units):
        findings.ahead = 2 * tries * (len(units) - place)
        heard = yield from _ask(str(unit), tries, strangers)
        if heard.addresses:
            findings.found.append(str(unit))
        elif heard.noise:
            findings.unclear[str(unit)] = DISTURBED
    for stranger in sorted(strangers - {*findings.found}, key=int)[:MOST_STRANGERS]:
        heard = yield from _ask(stranger, tries, set())
        if heard.addresses and int(stranger) in units:
            findings.found.append(stranger)
            findings.unclear.pop(stranger, None)
        else:
            findings.unclear[stranger] = LATE
    if len(findings.found) == len(units) >= LEAST_UNITS:
        findings.one_for_all = yield from _others(units, tries)


def _others(units: Sequence[int], tries: int) -> Generator[Request, Heard, bool]:
    """Whether units answer that were not to be asked. Where all were, there are more than any line can have."""
    others = [unit for unit in range(HIGHEST_UNIT, 0, -1) if unit not in units][:PROOFS]
    for unit in others:
        if not (yield from _ask(str(unit), tries, set())).addresses:
            return False
    return True


def _ask(unit: str, tries: int, strangers: set[str]) -> Generator[Request, Heard, Heard]:
    """Both functions, each again if nobody answers; noise, and another's late answer, are asked past."""
    heard = NOBODY
    for function in (READ_INPUT_REGISTERS, READ_HOLDING_REGISTERS):
        silent = disturbed = 0
        while silent < tries and disturbed < DISTURBANCES:
            heard = yield Request(unit, function, REGISTER, 1)
            if unit in heard.addresses:
                return heard
            strangers |= heard.addresses
            if heard.nobody:
                silent += 1
            else:
                disturbed += 1
        if disturbed >= DISTURBANCES and heard.noise:
            return heard
    return heard if heard.noise else NOBODY
