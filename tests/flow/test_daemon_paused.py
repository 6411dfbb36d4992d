"""The daemon while something is left out on purpose: it notices by itself, asks nobody, and says why nothing is there."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from collector.acquisition.schedule import ClockWaker
from collector.acquisition.tasks import Collected
from collector.clock import DrivenClock
from collector.daemon import Daemon
from collector.jobs.denominators import Denominators
from collector.jobs.rates import Rates
from collector.kpi.rates import Metric
from collector.settings.loading import load_settings
from protocols.profile import builtin_profiles
from simulators.fleet import Fleet, load_scenario
from storage.dues import Pause, Paused
from storage.memory import MemoryLedger
from tests.flow.daemons import installation, run_until

MINUTE = timedelta(minutes=1)


async def test_a_paused_meter_is_not_asked_and_is_missing_nowhere(tmp_path: Path) -> None:
    """Every five minutes; paused at minute 12, resumed at minute 32."""
    profiles = builtin_profiles()
    scenario = load_scenario("one-of-each", profiles)
    clock, ledger = DrivenClock(scenario.start), MemoryLedger()
    asked: list[int] = []

    def minute() -> int:
        return (clock.now() - scenario.start) // timedelta(minutes=1)

    def seen(_: Collected) -> None:
        asked.append(minute())

    async with Fleet(scenario, now=clock.now, profiles=profiles) as fleet:
        (street,) = [one for one in fleet.listening if one.protocol == "modbus-tcp"]
        config = installation(
            tmp_path,
            f'name = "a"\nlink = "{street.url}"\nprotocol = "modbus-tcp"',
            meters=f"m1,eastron_sdm630,a,{street.address}\n",
            every="5m",
        )
        settings = load_settings(config)
        daemon = Daemon(settings, profiles, ledger, clock=clock, waker=ClockWaker, settle=False, watch=seen)

        async def people() -> None:
            await clock.sleep_until(scenario.start + timedelta(minutes=12))
            await ledger.begin_pause(Pause(Paused.METER, "m1", clock.now(), "anna", "works"))
            await clock.sleep_until(scenario.start + timedelta(minutes=32))
            await ledger.end_pause(Paused.METER, "m1", at=clock.now(), who="anna")

        await run_until(daemon, clock, scenario.start + timedelta(minutes=50), beside=people(), step=MINUTE)
    assert asked[:3] == [0, 5, 10]
    assert [one for one in asked if 12 < one < 32] == []
    assert asked[-3:] == [40, 45, 50]
    counts = await ledger.day_counts(scenario.start.date(), scenario.start.date() + timedelta(days=1))
    assert {one.reason for one in counts} == {"", "paused"}
    dues = Denominators(ledger, settings.zone, profiles, {}, {"a"})
    day = clock.now().astimezone(settings.zone).date()
    found = await Rates(dues, clock, {}, {}).of(day, day, by="day", metrics=(Metric.CURVE,))
    assert [(one.missing, one.paused > 0) for one in found] == [(0, True)]
