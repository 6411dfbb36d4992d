"""Readings of a DL/T 645-2007 meter that we did not write (PyPI dlt645 3.2.0, over TCP), to the last digit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from collector.acquisition.line import Errand, Line
from collector.acquisition.links import make_link
from collector.acquisition.timing import Timing
from collector.acquisition.visit import Visit, ask_unknown, read_meter
from collector.clock import DrivenClock
from protocols.dialect import Wanted
from protocols.dialects import DIALECTS
from protocols.profile import builtin_profiles
from protocols.telegram import Request
from storage.records import Owner
from storage.registry import Meter
from tests.links.peers import dlt645_meter

NOON = datetime(2026, 3, 14, 4, 0, tzinfo=UTC)
DLT645 = DIALECTS["dlt645"]
PROFILE = builtin_profiles()["dlt645_2007_1p"]
TIMING = Timing(timeout_s=5.0, worst_reply_s=5.0, gap_s=0.05)
ADDRESS = "000020240817"
REGISTERS = {"00010000": 12345.67, "00010200": 0.01, "00020000": 799999.99}
INSTANT = {"02010100": 231.4, "02020100": 5.125, "02030000": 1.2345}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """One meter for all tests here: it takes a second to start."""
    with dlt645_meter(ADDRESS, energy=REGISTERS, variable=INSTANT) as its_port:
        yield its_port


def line_to(port: int) -> Line:
    return Line(make_link(f"tcp://127.0.0.1:{port}"), DrivenClock(NOON))


async def visit(port: int, wanted: Sequence[Wanted], address: str = ADDRESS) -> Visit:
    line = line_to(port)
    try:
        return await read_meter(line, DLT645, PROFILE, Meter("M1", PROFILE.id, "village", address), wanted, TIMING)
    finally:
        await line.close()


async def test_exact_values(port: int) -> None:
    quantities = ("1-0:1.8.0", "1-0:1.8.2", "1-0:2.8.0", "1-0:32.7.0", "1-0:31.7.0", "1-0:16.7.0")
    seen = await visit(port, [Wanted(quantity) for quantity in quantities])
    assert {item.quantity: item.value for item in seen.items} == {
        "1-0:1.8.0": Decimal("12345.67"),
        "1-0:1.8.2": Decimal("0.01"),
        "1-0:2.8.0": Decimal("799999.99"),
        "1-0:32.7.0": Decimal("231.4"),
        "1-0:31.7.0": Decimal("5.125"),
        "1-0:16.7.0": Decimal("1.2345"),
    }
    assert seen.failed == ()
    assert [attempt.outcome for attempt in seen.attempts] == ["ok"] * 6


async def test_a_foreign_address_is_never_a_reading(port: int) -> None:
    """This peer answers for everybody, with an error frame in the name of whoever was asked."""
    seen = await visit(port, [Wanted("1-0:1.8.0")], address="000020240818")
    assert seen.items == ()
    (failed,) = seen.failed
    assert (failed.reason, failed.owner, failed.attempts) == ("refused", Owner.METER, 1)


async def test_what_the_meter_lacks_is_refused_and_the_rest_is_read(port: int) -> None:
    """It knows no daily freezes."""
    seen = await visit(port, [Wanted("1-0:1.8.0", "freeze"), Wanted("1-0:1.8.0")])
    assert [item.value for item in seen.items if item.basis == "instant"] == [Decimal("12345.67")]
    assert seen.failure("050601nn") is not None
    assert {failed.reason for failed in seen.failed} == {"refused"}
    assert seen.failure("00010000") is None


async def test_a_wildcard_finds_the_only_meter(port: int) -> None:
    """Its answer carries the address that it was asked under; the read-address answer tells its own."""
    line = line_to(port)
    meter = Meter("AAAAAAAAAAAA", "", "probe", "AAAAAAAAAAAA")
    questions = (Request(meter.address, 0x13, ""), Request(meter.address, 0x11, "00010000", ids=("00010000",)))
    seen = await ask_unknown(line, DLT645, questions, TIMING, meter)
    await line.close()
    assert [(item.id, item.value) for item in seen.items] == [
        ("address", ADDRESS),
        ("00010000", Decimal("12345.67")),
    ]


async def test_an_address_that_is_none_is_not_asked() -> None:
    seen = await visit(1, [Wanted("1-0:1.8.0")], address="12-34")
    (failed,) = seen.failed
    assert (failed.reason, failed.owner, failed.attempts) == ("bad_address", Owner.REGISTRY, 0)
    assert "12-34" in failed.detail
    assert seen.attempts == ()


async def test_many_questions_over_one_connection(port: int) -> None:
    line = line_to(port)
    request = Request(ADDRESS, 0x11, "00010000", ids=("00010000",))
    tries = [await line.exchange(DLT645, request, TIMING, Errand()) for _ in range(20)]
    await line.close()
    assert {one.attempt.outcome for one in tries} == {"ok"}
