"""The search on simulated meters: their collisions are the simulator's, not ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.acquisition.line import Line
from collector.acquisition.scan import Findings, Search, wildcard_search
from collector.acquisition.scanning import scan_line
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from collector.jobs.scan import Device, Scan, Scanned, search_for
from protocols.dialects import DIALECTS
from protocols.profile import builtin_profiles
from simulators.dlt645_face import Dlt645Bus
from simulators.truth import Truth
from tests.fleet.scenes import Hands, fleet
from tests.fleet.test_dlt645_face import MOUNTED, device
from tests.links.driven_loop import run_driven
from tests.links.memory_link import MemoryLink

NOON = datetime(2026, 3, 14, 4, 0, tzinfo=UTC)
BATCH = st.integers(0, 10**12 - 1).map("{:012d}".format) | st.sampled_from(
    ["240300000100", "240300000101", "240300000200", "990300000100", "240399000100"]
)


def on_paper(addresses: Sequence[str], search: Search) -> Findings:
    """Driven time, one simulated bus."""
    bus = Dlt645Bus([device(one, preamble=int(one[-1]) % 5) for one in addresses], truth=Truth(), reply_s=0.1)

    def hear(data: bytes) -> Iterator[tuple[float, bytes]]:
        yield from ((answer.after_s, answer.data) for answer in bus.receive(data, lambda: MOUNTED))

    async def main() -> None:
        line = Line(MemoryLink(hear), DrivenClock(NOON))
        timing = Timing(timeout_s=0.8, retries=0, worst_reply_s=0.8, gap_s=0.2)
        await scan_line(line, DIALECTS["dlt645"], search, timing, within_s=1e6, told=lambda _findings, _left_s: None)
        await line.close()

    run_driven(main())
    return search.findings


@settings(max_examples=10, deadline=None)
@given(addresses=st.frozensets(BATCH, max_size=8))
def test_a_short_search_of_a_simulated_line_misses_only_twins_of_what_it_found(addresses: frozenset[str]) -> None:
    """`--verify 2` asks on for two digits only: who shares those with a found one may stand behind its answer."""
    found = set(on_paper(sorted(addresses), wildcard_search(verify=2)).found)
    assert found <= addresses
    assert {address[-2:] for address in addresses - found} <= {address[-2:] for address in found}


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
