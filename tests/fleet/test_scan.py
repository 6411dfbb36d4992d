"""The search on simulated meters: their collisions are the simulator's, not ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.acquisition.line import Line
from collector.acquisition.scan import TOTAL, VOLTAGE, Findings, Search, wildcard_search
from collector.acquisition.scanning import GLITCH, scan_line
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from collector.jobs.scan import Device, Scan, Scanned, search_for
from protocols.dialects import DIALECTS
from protocols.profile import builtin_profiles
from simulators.dlt645_face import Dlt645Bus
from simulators.truth import Truth
from tests.fleet.scenes import Hands, fleet
from tests.fleet.test_dlt645_face import MOUNTED, device, request
from tests.links.driven_loop import run_driven
from tests.links.memory_link import MemoryLink

NOON = datetime(2026, 3, 14, 4, 0, tzinfo=UTC)
BATCH = st.integers(0, 10**12 - 1).map("{:012d}".format) | st.tuples(
    st.sampled_from(["24030000", "24030001", "64030001", "99030000"]), st.sampled_from(["0100", "0117", "4100", "9917"])
).map("".join)
LAG = st.just(0) | st.integers(0, 400)
"""In bits, a frame has about 220. In step is the worst: who begins later is hardly ever drowned without a trace."""


@dataclass(frozen=True)
class One:
    """A new meter: it shows the same energy as all others."""

    address: str
    preamble: int = 0
    lag_bits: int = 0


ONES = st.lists(st.builds(One, BATCH, st.integers(0, 4), LAG), max_size=8, unique_by=lambda one: one.address)


def on_one_line(ones: Sequence[One]) -> Dlt645Bus:
    meters = [device(one.address, preamble=one.preamble, lag_bits=one.lag_bits) for one in ones]
    return Dlt645Bus(meters, truth=Truth(), reply_s=0.1)


def on_paper(ones: Sequence[One], search: Search) -> Findings:
    """Driven time, one simulated bus."""
    bus = on_one_line(ones)

    def hear(data: bytes) -> Iterator[tuple[float, bytes]]:
        yield from ((answer.after_s, answer.data) for answer in bus.receive(data, lambda: MOUNTED))

    async def main() -> None:
        line = Line(MemoryLink(hear), DrivenClock(NOON))
        timing = Timing(timeout_s=0.8, retries=0, worst_reply_s=0.8, gap_s=0.2)
        await scan_line(line, DIALECTS["dlt645"], search, timing, within_s=1e6, told=lambda _findings, _left_s: None)
        await line.close()

    run_driven(main())
    return search.findings


def heard_whole(ones: Sequence[One], digits: int, identifier: str) -> dict[str, str]:
    """Meter → whose whole answer, and hardly a byte else, comes when those are read who end as it does. Bytes by hand."""
    heard = {}
    for one in ones:
        tail = one.address[-digits:]
        (answer,) = on_one_line(ones).receive(
            request(bytes.fromhex(identifier)[::-1], tail.rjust(12, "A")), lambda: MOUNTED
        )
        for other in ones:
            if not other.address.endswith(tail):
                continue
            (alone,) = on_one_line([other]).receive(
                request(bytes.fromhex(identifier)[::-1], other.address), lambda: MOUNTED
            )
            before, frame, after = answer.data.partition(alone.data.lstrip(b"\xfe"))
            if frame and len(before.strip(b"\x00\xfe\xff")) <= GLITCH and len(after.strip(b"\x00\xfe\xff")) <= GLITCH:
                heard[one.address] = other.address
    return heard


def drowned(ones: Sequence[One], verify: int) -> set[str]:
    """Those of whom no question of a search leaves a trace, from `verify` digits on: one that was found answers, both times."""
    lost = set()
    for digits in range(verify, 12, 2):
        energy, voltage = (heard_whole(ones, digits, one) for one in (TOTAL, VOLTAGE))
        lost |= {one for one, by in energy.items() if by != one and voltage.get(one) == by}
    return lost


TWINS = [One("000000000751"), One("000000003751")]
"""In step, every bit of the first's answer with its energy wins over the second's, and so does its sum."""
DROWNED = [One("029560560893"), One("829560560893")]
"""Here the answer with the voltage does as well."""
SHOUT = [
    One("829444168253", 4, 8),
    One("990300000100", 4, 11),
    One("784520938350", 0, 5),
    One("445106948303", 0, 1),
    One("240300000200", 3, 10),
    One("190556815915", 2, 5),
    One("296048972358", 4, 0),
]
"""All at once they hold the line down: hardly a byte is heard."""


@settings(max_examples=15, deadline=None)
@given(ones=ONES)
@example(ones=TWINS)
@example(ones=DROWNED)
@example(ones=SHOUT)
def test_a_whole_search_of_a_simulated_line_finds_all(ones: list[One]) -> None:
    found = on_paper(ones, wildcard_search(verify=12)).found
    assert sorted(found) == sorted(one.address for one in ones)


@pytest.mark.parametrize("verify", [2, 4])
@settings(max_examples=15, deadline=None)
@given(ones=ONES)
@example(ones=TWINS)
@example(ones=DROWNED)
@example(ones=SHOUT)
def test_a_shorter_one_finds_all_but_who_leaves_no_trace(ones: list[One], verify: int) -> None:
    found = on_paper(ones, wildcard_search(verify=verify)).found
    there = {one.address for one in ones}
    assert len(found) == len(set(found))
    assert there - drowned(ones, verify) <= set(found) <= there


def test_who_leaves_no_trace_is_not_found_by_the_shorter_one() -> None:
    assert drowned(DROWNED, 4) == {"829560560893"}
    assert on_paper(DROWNED, wildcard_search()).found == ["029560560893"]
    assert drowned(TWINS, 2) == set()


# --- on real sockets, to the profile -----------------------------------------------------------------------------------------

STREET = """
[[line]]
name = "street"
protocol = "{protocol}"
[[meter]]
meter = "shop"
line = "street"
profile = "eastron_sdm630"
address = "3"
load = "shop"
serial = "4711"
[[meter]]
meter = "flat"
line = "street"
profile = "eastron_sdm120"
address = "17"
serial = "18032024"
"""
VILLAGE = """
[[line]]
name = "village"
protocol = "dlt645"
[[meter]]
meter = "house-{n}"
line = "village"
profile = "dlt645_2007_1p"
address = "240300000100"
count = 2
[[meter]]
meter = "shop"
line = "village"
profile = "dlt645_2007_3p"
address = "990300004400"
load = "shop"
"""


async def scan(url: str, protocol: str, *, units: range = range(1, 30), timeout_s: float = 0.02) -> dict[str, Device]:
    dialect = DIALECTS[protocol]
    search = search_for(dialect, units=units, verify=2, retries=0)
    assert search is not None
    work = Scan(
        url,
        dialect,
        patience=Timing(timeout_s=timeout_s, retries=0, worst_reply_s=timeout_s, gap_s=timeout_s / 4),
        timing=Timing(timeout_s=1.0, retries=1),
        clock=DrivenClock(NOON),
        zone=ZoneInfo("UTC"),
        profiles=builtin_profiles(),
    )
    scanned = Scanned(search.findings)
    await work.run(search, scanned, within_s=60, told=lambda _findings, _left_s: None)
    assert scanned.ended is not None
    assert (scanned.ended.reason, scanned.places) == ("", {})
    return scanned.devices


def fits(found: dict[str, Device]) -> dict[str, list[str]]:
    return {address: [fit.profile for fit in device.fits] for address, device in found.items()}


@pytest.mark.parametrize("protocol", ["modbus-tcp", "modbus-rtu"])
async def test_the_units_of_a_gateway_with_profile_and_serial(tmp_path: Path, protocol: str) -> None:
    async with fleet(tmp_path, STREET.replace("{protocol}", protocol), Hands()) as here:
        found = await scan(here.listening[0].url, protocol)
    assert fits(found) == {"3": ["eastron_sdm630"], "17": ["eastron_sdm120"]}
    assert {address: device.serial for address, device in found.items()} == {"3": "4711", "17": "18032024"}


async def test_the_meters_of_a_village_with_their_phases(tmp_path: Path) -> None:
    """Two of them share their last two digits, and speak at once."""
    async with fleet(tmp_path, VILLAGE, Hands()) as here:
        found = await scan(here.listening[0].url, "dlt645")
    assert fits(found) == {
        "240300000100": ["dlt645_2007_1p"],
        "240300000101": ["dlt645_2007_1p"],
        "990300004400": ["dlt645_2007_3p"],
    }
