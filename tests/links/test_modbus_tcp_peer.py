"""Readings of a Modbus TCP device that we did not write (pyModbusTCP), through link, line and visit, to the last digit."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from collector.acquisition.line import Line
from collector.acquisition.links import make_link
from collector.acquisition.timing import Timing
from collector.acquisition.visit import Visit, read_meter
from collector.clock import DrivenClock
from protocols.dialect import Wanted
from protocols.dialects import DIALECTS
from protocols.profile import builtin_profiles
from storage.records import Owner
from storage.registry import Meter
from tests.links.peers import pymodbustcp_server

NOON = datetime(2026, 3, 14, 4, 0, tzinfo=UTC)
PROFILE = builtin_profiles()["eastron_sdm630"]
TIMING = Timing(timeout_s=5.0)
IMPORT, EXPORT, VOLTAGE = Wanted("1-0:1.8.0"), Wanted("1-0:2.8.0"), Wanted("1-0:32.7.0")


def words(value: float) -> list[int]:
    """Two registers of a float32, the more significant first."""
    return list(struct.unpack(">HH", struct.pack(">f", value)))


def meter(serial: str = "") -> Meter:
    return Meter("M1", PROFILE.id, "village", "1", serial=serial)


async def visit(port: int, wanted: Sequence[Wanted], serial: str = "") -> Visit:
    line = Line(make_link(f"tcp://127.0.0.1:{port}"), DrivenClock(NOON))
    try:
        return await read_meter(line, DIALECTS["modbus-tcp"], PROFILE, meter(serial), wanted, TIMING, plan="daily")
    finally:
        await line.close()


async def test_exact_values_in_two_blocks() -> None:
    with pymodbustcp_server(input_={0: words(231.5), 72: [*words(1234.5), *words(0.125)]}) as port:
        seen = await visit(port, [IMPORT, EXPORT, VOLTAGE])
    values = {item.quantity: item.value for item in seen.items}
    assert values == {"1-0:32.7.0": Decimal("231.5"), "1-0:1.8.0": Decimal("1234.5"), "1-0:2.8.0": Decimal("0.125")}
    assert seen.failed == ()
    assert [attempt.outcome for attempt in seen.attempts] == ["ok"] * len(seen.answered)
    assert all(one.received_at == NOON for one in seen.answered)
    first = seen.attempts[0]
    assert (first.meter, first.channel, first.plan, first.started_at) == ("M1", "village", "daily", NOON)
    assert first.sent.startswith(bytes.fromhex("0001 0000 0006 01 04 0000"))
    assert first.received.startswith(bytes.fromhex("0001 0000"))
    assert first.duration_us > 0


async def test_refusal_is_an_answer_and_the_next_question_is_asked() -> None:
    with pymodbustcp_server(input_={0: words(231.5)}, size=40) as port:
        seen = await visit(port, [IMPORT, VOLTAGE])
    assert [item.value for item in seen.items] == [Decimal("231.5")]
    (failed,) = seen.failed
    assert (failed.reason, failed.owner, failed.attempts) == ("exception_2", Owner.METER, 1)
    assert seen.failure("72") == failed
    assert seen.failure("0") is None
    assert [attempt.outcome for attempt in seen.attempts] == ["ok", "exception_2"]


async def test_the_right_serial_is_believed() -> None:
    with pymodbustcp_server(holding={64512: [1, 2]}, input_={72: words(7.25)}) as port:
        seen = await visit(port, [IMPORT], serial="00065538")
    assert [item.value for item in seen.items] == [Decimal("7.25")]
    assert len(seen.attempts) == 2


async def test_another_meter_at_the_address_is_not_believed() -> None:
    with pymodbustcp_server(holding={64512: [1, 2]}, input_={72: words(7.25)}) as port:
        seen = await visit(port, [IMPORT, VOLTAGE], serial="65539")
    assert seen.items == ()
    assert {(failed.reason, failed.owner) for failed in seen.failed} == {("wrong_identity", Owner.REGISTRY)}
    assert "65538" in seen.failed[0].detail
    assert len(seen.attempts) == 1  # nothing more was asked
