"""From what is wanted of a device by hand to the work itself, wherever it is done: in the command's process, or in the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from collector.acquisition.scan import Search
from collector.acquisition.timing import Timing
from collector.clock import Clock
from collector.jobs.asking import ProbeWanted, ScanWanted
from collector.jobs.probe import Probe
from collector.jobs.reach import Reached
from collector.jobs.scan import Scan, search_for
from protocols.dialects import DIALECTS
from protocols.profile import Profile


def probe_for(wanted: ProbeWanted, clock: Clock, reached: Reached | None = None) -> Probe:
    """`reached`: without it over a line of its own."""
    dialect = DIALECTS[wanted.protocol]
    timing = Timing(timeout_s=wanted.timeout_s, retries=wanted.retries, gap_s=dialect.gap_ms / 1000)
    return Probe(wanted.url, dialect, wanted.address, timing, clock, ZoneInfo(wanted.zone), reached)


def scan_for(wanted: ScanWanted, profiles: Mapping[str, Profile], clock: Clock, reached: Reached | None = None) -> Scan:
    """As above."""
    dialect, wait_s = DIALECTS[wanted.protocol], wanted.timeout_s
    gap_s = min(dialect.gap_ms / 1000, wait_s / 4)
    return Scan(
        wanted.url,
        dialect,
        patience=Timing(timeout_s=wait_s, retries=0, worst_reply_s=wait_s, gap_s=gap_s),
        timing=Timing(timeout_s=wait_s, retries=1, gap_s=dialect.gap_ms / 1000),
        clock=clock,
        zone=ZoneInfo("UTC"),
        profiles=profiles,
        reached=reached,
    )


def search_wanted(wanted: ScanWanted) -> Search | None:
    """None: the devices of this protocol cannot be searched for."""
    units = range(wanted.first, wanted.last + 1)
    return search_for(DIALECTS[wanted.protocol], units=units, verify=wanted.verify, retries=wanted.retries)
