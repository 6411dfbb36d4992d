"""The daemon as an object, on driven time: restarts, silent and dead meters, verdicts and hand-over by itself."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from collector.acquisition.schedule import ClockWaker
from collector.acquisition.tasks import Collected
from collector.clock import DrivenClock
from collector.daemon import Daemon
from collector.settings.loading import load_settings
from protocols.profile import builtin_profiles
from simulators.fleet import Fleet, load_scenario
from storage.engine import open_ledger
from storage.errors import DatabaseBusy, DatabaseUnusable
from storage.memory import MemoryLedger
from storage.records import Batch, Receipt
from tests.flow.commands import finish, start
from tests.flow.daemons import (
    installation,
    run_until,
)


async def test_a_restart_asks_only_for_what_is_still_owed(tmp_path: Path) -> None:
    profiles = builtin_profiles()
    scenario = load_scenario("one-of-each", profiles)
    clock = DrivenClock(scenario.start)
    asked: list[tuple[str, int]] = []
    async with Fleet(scenario, now=clock.now, profiles=profiles) as fleet:
        config, _ = fleet.write_config(tmp_path)
        polled = load_settings(config)
        polled = polled.model_copy(update={"channels": tuple(c for c in polled.channels if c.protocol != "mqtt-json")})
        rows = (tmp_path / "meters.csv").read_text("utf-8").splitlines()
        (tmp_path / "meters.csv").write_text("\n".join(row for row in rows if "json_meter" not in row) + "\n", "utf-8")
        ledger = MemoryLedger()
        end = scenario.start + timedelta(minutes=50)
        for instant in (end, end, end + timedelta(minutes=30)):
            before = len(await ledger.filled(scenario.start, instant + timedelta(days=1)))
            daemon = Daemon(
                polled,
                profiles,
                ledger,
                clock=clock,
                waker=ClockWaker,
                settle=False,
                watch=lambda done: asked.append((done.task.registered.meter.meter, len(done.task.slots))),
            )
            await run_until(daemon, clock, instant)
            after = len(await ledger.filled(scenario.start, instant + timedelta(days=1)))
            asked.append(("restart", after - before))
    runs = [count for name, count in asked if name == "restart"]
    assert runs[0] > 0
    assert runs[1] == 0  # nothing new was owed, and nothing was asked twice
    assert runs[2] > 0
    assert sum(count for name, count in asked if name != "restart") == sum(runs)


async def test_a_silent_meter_delays_only_its_own_line(tmp_path: Path) -> None:
    """Two lines; one never answers. The other's slots all come in their first round."""
    profiles = builtin_profiles()
    scenario = load_scenario("one-of-each", profiles)
    clock = DrivenClock(scenario.start)
    async with Fleet(scenario, now=clock.now, profiles=profiles) as fleet:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            (street,) = [one for one in fleet.listening if one.protocol == "modbus-tcp"]
            config = installation(
                tmp_path,
                f'name = "a"\nlink = "{street.url}"\nprotocol = "modbus-tcp"',
                f'name = "b"\nlink = "tcp://127.0.0.1:{deaf.getsockname()[1]}"\nprotocol = "modbus-tcp"\n'
                'timeout = "50ms"\nretries = 0\nworst_reply = "50ms"',
                meters=f"m1,eastron_sdm630,a,{street.address}\nm2,eastron_sdm630,b,1\n",
                every="5m",
            )
            ledger = MemoryLedger()
            settings = load_settings(config)
            daemon = Daemon(settings, profiles, ledger, clock=clock, waker=ClockWaker, settle=False)
            await run_until(daemon, clock, scenario.start + timedelta(minutes=31))
    counts = await ledger.day_counts(
        scenario.start.date() - timedelta(days=1), scenario.start.date() + timedelta(days=1)
    )
    good = [one for one in counts if one.channel == "a"]
    bad = [one for one in counts if one.channel == "b"]
    assert sum(one.slots for one in good) == sum(one.first_round for one in good) >= 6
    assert {one.reason for one in bad} == {"no_answer"}
    # Its last slot is still open: the meter is left alone just now, and may answer before the window closes.
    assert sum(one.slots for one in bad) in (sum(one.slots for one in good), sum(one.slots for one in good) - 1)


async def test_a_dead_meter_is_left_alone_and_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its breaker opens with one line, spares it most visits, and closes at the first answer; every slot has its reason."""
    caplog.set_level(logging.INFO, logger="collector")
    profiles = builtin_profiles()
    scenario = load_scenario("one-of-each", profiles)
    clock = DrivenClock(scenario.start)
    visits: list[bool] = []
    async with Fleet(scenario, now=clock.now, profiles=profiles) as fleet:
        (street,) = [one for one in fleet.listening if one.protocol == "modbus-tcp"]
        config = installation(
            tmp_path,
            f'name = "a"\nlink = "{street.url}"\nprotocol = "modbus-tcp"\n'
            'timeout = "50ms"\nretries = 0\nworst_reply = "50ms"',
            meters="m1,eastron_sdm630,a,99\n",  # nobody has this unit
            every="1m",
        )
        ledger = MemoryLedger()

        def watch(done: Collected) -> None:
            visits.append(bool(done.batch.readings))

        settings = load_settings(config)
        daemon = Daemon(settings, profiles, ledger, clock=clock, waker=ClockWaker, watch=watch, settle=False)
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(daemon.run())
            while clock.now() < scenario.start + timedelta(hours=2):
                clock.advance(min(await daemon.quiet(), clock.now() + timedelta(minutes=1)))
            in_vain = len(visits)
            rows = (tmp_path / "meters.csv").read_text("utf-8").replace(",99", f",{street.address}")
            (tmp_path / "meters.csv").write_text(rows, "utf-8")  # somebody has put the address right
            daemon.change(settings, profiles)
            while not (visits and visits[-1]):
                clock.advance(min(await daemon.quiet(), clock.now() + timedelta(minutes=1)))
                assert clock.now() < scenario.start + timedelta(hours=2, minutes=20)
            daemon.stop()
    assert in_vain < 20, "two hours of a plan of every minute"
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if "left alone" in line]) == 1
    assert len([line for line in said if "answers again" in line]) == 1
    missing_rows = await ledger.closed(scenario.start, scenario.start + timedelta(hours=2))
    assert len(missing_rows) >= 119
    assert {one.reason for one in missing_rows} <= {"no_answer", "gateway_no_answer", "exception_11"}


async def test_the_database_of_the_daemon_is_a_real_one(tmp_path: Path) -> None:
    """What a daemon stored is there for another process that opens the file."""
    profiles = builtin_profiles()
    scenario = load_scenario("one-of-each", profiles)
    clock = DrivenClock(scenario.start)
    async with Fleet(scenario, now=clock.now, profiles=profiles) as fleet:
        (house,) = [one for one in fleet.listening if one.protocol == "dlt645"]
        config = installation(
            tmp_path,
            f'name = "a"\nlink = "{house.url}"\nprotocol = "dlt645"',
            meters=f"m1,dlt645_2007_1p,a,{house.address}\n",
            every="5m",
        )
        settings = load_settings(config)
        ledger = await open_ledger(settings.storage.url.url, create=True)
        daemon = Daemon(settings, profiles, ledger, clock=clock, waker=ClockWaker, settle=False)
        await run_until(daemon, clock, scenario.start + timedelta(minutes=11))
        await ledger.close()
        truth = {
            (time.astimezone(UTC).isoformat().replace("+00:00", "Z"), Decimal(text))
            for (_, quantity, basis, time), text in fleet.truth.shown.items()
            if (quantity, basis) == ("1-0:1.8.0", "instant")
        }
    ended = finish(start("readings", "export", "-c", config, "--json"))
    assert ended.status == 0, ended.err
    stored = [json.loads(line) for line in ended.out.splitlines()]
    assert len(stored) >= 2
    assert {(one["time"], Decimal(one["value"])) for one in stored} == truth


async def test_the_daemon_judges_and_hands_over_by_itself(tmp_path: Path) -> None:
    profiles = builtin_profiles()
    scenario = load_scenario("one-of-each", profiles)
    clock = DrivenClock(scenario.start)
    deliveries = tmp_path / "deliveries"
    async with Fleet(scenario, now=clock.now, profiles=profiles) as fleet:
        (house,) = [one for one in fleet.listening if one.protocol == "dlt645"]
        config = installation(
            tmp_path,
            f'name = "a"\nlink = "{house.url}"\nprotocol = "dlt645"',
            meters=f"m1,dlt645_2007_1p,a,{house.address}\n",
            every="5m",
        )
        hour = (scenario.start + timedelta(minutes=20)).astimezone(load_settings(config).zone)
        with config.open("a", encoding="utf-8") as file:
            file.write(f'[billing]\ndirectory = "{deliveries}"\ndeliver = "{hour:%H:%M}"\n')
        ledger = MemoryLedger()
        daemon = Daemon(load_settings(config), profiles, ledger, clock=clock, waker=ClockWaker)
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(daemon.run())
            while not list(deliveries.glob("*.manifest.json")):
                await daemon.quiet()
                assert clock.now() < scenario.start + timedelta(hours=1)
                clock.advance(clock.now() + timedelta(minutes=1))
                await asyncio.sleep(0.01)  # judging and files run beside the planner, which alone says when it is quiet
            daemon.stop()
        # Down at the hour of the next day: what was missed is handed over at the next start, not a day later.
        clock.advance(clock.now() + timedelta(days=1, minutes=5))
        again = Daemon(load_settings(config), profiles, ledger, clock=clock, waker=ClockWaker)
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(again.run())
            while len(list(deliveries.glob("*.manifest.json"))) < 2:
                await again.quiet()
                assert clock.now() < scenario.start + timedelta(days=1, hours=1)
                clock.advance(clock.now() + timedelta(minutes=1))
                await asyncio.sleep(0.01)
            again.stop()
    rows = [json.loads(line) for line in (deliveries / "batch-00000001.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) >= 4
    assert {row["quality"] for row in rows} == {"verified"}


class Refusing(MemoryLedger):
    """Takes nothing at first: locked, or the disk is full."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    async def append(self, batch: Batch) -> Receipt:
        if self.errors:
            raise self.errors.pop(0)
        return await super().append(batch)


@pytest.mark.parametrize("error", [DatabaseBusy("held"), DatabaseUnusable("database or disk is full")])
@pytest.mark.parametrize("refusals", [1, 10])
async def test_what_could_not_be_stored_is_read_again_or_says_why(
    tmp_path: Path, error: Exception, refusals: int
) -> None:
    """Once refused: the slot is filled in the next round. Refused until its window closes: it has a reason in the ledger."""
    profiles = builtin_profiles()
    scenario = load_scenario("one-of-each", profiles)
    clock = DrivenClock(scenario.start)
    async with Fleet(scenario, now=clock.now, profiles=profiles) as fleet:
        (house,) = [one for one in fleet.listening if one.protocol == "dlt645"]
        config = installation(
            tmp_path,
            f'name = "a"\nlink = "{house.url}"\nprotocol = "dlt645"',
            meters=f"m1,dlt645_2007_1p,a,{house.address}\n",
            every="5m",
        )
        ledger = Refusing(*[error] * refusals)
        daemon = Daemon(load_settings(config), profiles, ledger, clock=clock, waker=ClockWaker, settle=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("collector.jobs.poll.BUSY_PAUSE_S", 0.0)
            await run_until(daemon, clock, scenario.start + timedelta(minutes=11))
    end = scenario.start + timedelta(minutes=10, seconds=1)
    filled = {slot.at for slot in await ledger.filled(scenario.start, end)}
    closed = {missing.slot.at: missing.reason for missing in await ledger.closed(scenario.start, end)}
    assert filled | set(closed) == {scenario.start + timedelta(minutes=minutes) for minutes in (0, 5, 10)}
    assert set(closed.values()) == ({"window_closed"} if refusals > 1 else set())
