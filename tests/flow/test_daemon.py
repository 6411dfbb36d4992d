"""The daemon as a process and as an object: signals, restarts, a broker that is down, a meter that is silent."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import termios
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path

import pytest

from collector.acquisition.schedule import ClockWaker
from collector.clock import DrivenClock
from collector.daemon import Daemon
from collector.jobs.collect import Collected
from collector.settings.loading import load_settings
from protocols.profile import builtin_profiles
from simulators.fleet import Fleet, load_scenario
from storage.engine import open_ledger
from storage.errors import DatabaseBusy, DatabaseUnusable
from storage.memory import MemoryLedger
from storage.records import Batch, Receipt
from tests.flow.commands import finish, start
from tests.links.broker import PUBLISH, Mosquitto, needs_mosquitto

PATIENT_S = 10
"""What a drain may take (issue: within 10 s)."""


def closed_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def installation(folder: Path, *channels: str, meters: str, every: str = "1s") -> Path:
    config = folder / "collector.toml"
    config.write_text(
        '[storage]\nurl = "sqlite:///chaobiao.db"\n[registry]\nfile = "meters.csv"\n'
        + "".join(f"[[channel]]\n{channel}\n" for channel in channels)
        + f'[[plan]]\nname = "often"\nread = ["1-0:1.8.0"]\nevery = "{every}"\n',
        "utf-8",
    )
    (folder / "meters.csv").write_text(f"meter,profile,channel,address\n{meters}", "utf-8")
    return config


def wait_for_line(process: subprocess.Popen[str], part: str) -> str:
    assert process.stderr
    deadline = time.monotonic() + 20
    for line in process.stderr:
        if part in line:
            return line
        assert time.monotonic() < deadline
    raise AssertionError(f"it ended with {process.wait()} and never said {part!r}")


def terminate(process: subprocess.Popen[str]) -> float:
    """SIGTERM; how long it took to end with 0."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended = finish(process)
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err
    return time.monotonic() - begun


def test_sigterm_in_the_middle_of_a_visit_drains_and_ends_with_0(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # takes the question and never answers
        port = listener.getsockname()[1]
        config = installation(
            tmp_path,
            f'name = "a"\nlink = "tcp://127.0.0.1:{port}"\nprotocol = "modbus-tcp"\ntimeout = "60s"',
            meters="m1,eastron_sdm630,a,1\n",
        )
        process = start("run", "-c", config)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(12)  # the question is out, its answer is waited for
            assert terminate(process) < PATIENT_S


def test_ctrl_c_drains_too(tmp_path: Path) -> None:
    channel = f'name = "a"\nlink = "tcp://127.0.0.1:{closed_port()}"\nprotocol = "modbus-tcp"'
    process = start("run", "-c", installation(tmp_path, channel, meters="m1,eastron_sdm630,a,1\n"))
    wait_for_line(process, "collecting 1 meter")
    process.send_signal(signal.SIGINT)
    assert finish(process).status == 0


def test_a_second_daemon_on_one_database_stops_with_one_sentence(tmp_path: Path) -> None:
    channel = f'name = "a"\nlink = "tcp://127.0.0.1:{closed_port()}"\nprotocol = "modbus-tcp"'
    config = installation(tmp_path, channel, meters="m1,eastron_sdm630,a,1\n")
    first = start("run", "-c", config)
    wait_for_line(first, "collecting 1 meter")
    second = finish(start("run", "-c", config))
    assert second.status == 1
    assert second.err.strip().endswith(f"process {first.pid} collects into this database already; stop that one first")
    assert len(second.err.strip().splitlines()) == 1
    assert terminate(first) < PATIENT_S


def test_a_broker_that_is_down_is_told_once_and_tried_again(tmp_path: Path) -> None:
    port = closed_port()
    channel = f'name = "a"\nlink = "mqtt://127.0.0.1:{port}"\nprotocol = "mqtt-json"\ntopics = ["meters/+/reading"]'
    process = start("run", "-c", installation(tmp_path, channel, meters="m1,json_meter,a,1\n"))
    line = wait_for_line(process, "trying again")
    assert f"mqtt://127.0.0.1:{port}" in line
    assert terminate(process) < PATIENT_S


def test_read_on_a_broker_that_is_down_ends_with_1_and_a_sentence(tmp_path: Path) -> None:
    port = closed_port()
    channel = f'name = "a"\nlink = "mqtt://127.0.0.1:{port}"\nprotocol = "mqtt-json"\ntopics = ["meters/+/reading"]'
    ended = finish(start("read", "-c", installation(tmp_path, channel, meters="m1,json_meter,a,1\n"), "--wait", "2s"))
    assert ended.status == 1
    assert f"mqtt://127.0.0.1:{port}" in ended.err
    assert "Traceback" not in ended.err


def missing(config: Path) -> list[tuple[str, str, str, str]]:
    ended = finish(start("report", "missing", "-c", config, "--json"))
    assert ended.status == 0, ended.err
    found = [json.loads(line) for line in ended.out.splitlines()]
    return [(one["meter"], one["reason"], one["owner"], one["detail"]) for one in found]


def test_a_meter_that_pushed_nothing_while_read_listened_is_in_the_report(tmp_path: Path) -> None:
    port = closed_port()
    channel = f'name = "a"\nlink = "mqtt://127.0.0.1:{port}"\nprotocol = "mqtt-json"\ntopics = ["meters/+/reading"]'
    config = installation(tmp_path, channel, meters="m1,json_meter,a,1\n", every="1h")
    assert finish(start("read", "-c", config, "--wait", "1s")).status == 1
    ((meter, reason, owner, detail),) = missing(config)
    assert (meter, reason, owner) == ("m1", "connection_refused", "uplink")
    assert f"mqtt://127.0.0.1:{port}" in detail


def test_a_meter_whose_channel_is_configured_no_more(tmp_path: Path) -> None:
    """It stays in the registry and in the rates; `read` and `run` say why nothing comes."""
    a, b = (f'name = "{name}"\nlink = "tcp://127.0.0.1:{closed_port()}"\nprotocol = "modbus-tcp"' for name in "ab")
    meters = "m1,eastron_sdm630,a,1\n"
    both = installation(tmp_path, a, b, meters=meters + "m2,eastron_sdm630,b,1\n", every="1h")
    assert finish(start("meters", "import", "-c", both, tmp_path / "meters.csv")).status == 0
    config = installation(tmp_path, a, meters=meters, every="1s")
    ended = finish(start("read", "-c", config, "--meter", "m2"))
    assert ended.status == 1
    assert "no_channel" in ended.err
    assert "bug" not in ended.err
    detail = "the configuration has no channel 'b'"
    assert ("m2", "no_channel", "registry", detail) in missing(config)
    process = start("run", "-c", config)
    assert "'b'" in wait_for_line(process, "which the configuration does not have")
    assert terminate(process) < PATIENT_S


def test_a_meter_that_can_give_nothing_of_it_is_said(tmp_path: Path) -> None:
    channel = f'name = "a"\nlink = "tcp://127.0.0.1:{closed_port()}"\nprotocol = "modbus-tcp"'
    config = installation(tmp_path, channel, meters="m1,eastron_sdm630,a,1\n")
    config.write_text(config.read_text("utf-8").replace('every = "1s"', 'at = "00:05"\nbasis = "freeze"'), "utf-8")
    ended = finish(start("read", "-c", config, "--meter", "m1"))
    assert ended.status == 1
    assert "m1: its profile eastron_sdm630 has nothing of what is asked for" in ended.err


def test_a_meter_whose_site_profile_is_gone(tmp_path: Path) -> None:
    channel = f'name = "a"\nlink = "tcp://127.0.0.1:{closed_port()}"\nprotocol = "modbus-tcp"'
    config = installation(tmp_path, channel, meters="m1,eastron_sdm630,a,1\nm2,ours,a,2\n")
    folder = tmp_path / "profiles.d"
    folder.mkdir()
    builtin = resources.files("protocols").joinpath("profiles", "eastron_sdm630.toml").read_text("utf-8")
    own = folder / "ours.toml"
    own.write_text(builtin.replace('id = "eastron_sdm630"', 'id = "ours"'), "utf-8")
    config.write_text('[site]\nprofiles_d = "profiles.d"\n' + config.read_text("utf-8"), "utf-8")
    assert finish(start("meters", "import", "-c", config, tmp_path / "meters.csv")).status == 0
    own.unlink()
    (tmp_path / "meters.csv").write_text("meter,profile,channel,address\nm1,eastron_sdm630,a,1\n", "utf-8")
    ended = finish(start("read", "-c", config, "--meter", "m2"))
    assert ended.status == 1
    assert "there is no profile 'ours' any more" in ended.err
    assert "bug" not in ended.err


def test_a_serial_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    far, near = os.openpty()
    try:
        path = os.ttyname(near)
        fcntl.ioctl(near, termios.TIOCEXCL)
        fcntl.flock(near, fcntl.LOCK_EX | fcntl.LOCK_NB)
        channel = f'name = "a"\nlink = "serial://{path}?baudrate=2400&parity=N"\nprotocol = "dlt645"'
        ended = finish(start("read", "-c", installation(tmp_path, channel, meters="m1,dlt645_2007_1p,a,1\n")))
    finally:
        os.close(far)
        os.close(near)
    assert ended.status == 1
    assert path in ended.err
    assert "port_in_use" in ended.err
    assert "Traceback" not in ended.err


@needs_mosquitto
def test_mosquitto_pub_through_read(tmp_path: Path) -> None:
    assert PUBLISH
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder)
    broker.start()
    try:
        payload = '{"time": "2026-03-15T10:00:00+08:00", "values": {"1-0:1.8.0": "123.45"}, "seq": 17}'
        retained = [PUBLISH, "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-r", "-t", "meters/17/reading"]
        subprocess.run([*retained, "-m", payload], check=True, timeout=10)
        channel = f'name = "a"\nlink = "mqtt://127.0.0.1:{broker.port}"\nprotocol = "mqtt-json"\ntopics = ["meters/+/reading"]'
        config = installation(tmp_path, channel, meters="m1,json_meter,a,17\n")
        ended = finish(start("read", "-c", config, "--json"))
    finally:
        broker.stop()
    assert ended.status == 0, ended.err
    (reading,) = [json.loads(line) for line in ended.out.splitlines()]
    assert Decimal(reading["value"]) == Decimal("123.45")
    assert (reading["time"], reading["source"], reading["unit"]) == ("2026-03-15T02:00:00Z", "push", "kWh")


async def run_until(daemon: Daemon, clock: DrivenClock, instant: datetime) -> None:
    """Drive the clock to an instant, then drain."""
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(daemon.run())
        while True:
            alarm = await daemon.quiet()
            if clock.now() >= instant:
                break
            clock.advance(min(alarm, instant))
        daemon.stop()


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


def test_sigterm_while_another_process_holds_the_database(tmp_path: Path) -> None:
    channel = f'name = "a"\nlink = "tcp://127.0.0.1:{closed_port()}"\nprotocol = "modbus-tcp"'
    soon = "import storage.ledger.sessions as s; s.PATIENCE = 2; from collector.cli.main import main; main()"
    config = installation(tmp_path, channel, meters="m1,eastron_sdm630,a,1\n")
    process = start("run", "-c", config, code=soon)
    wait_for_line(process, "collecting 1 meter")
    with closing(sqlite3.connect(tmp_path / "chaobiao.db", isolation_level=None, timeout=5)) as other:
        other.execute("BEGIN IMMEDIATE")
        wait_for_line(process, "held the database for too long")
        assert terminate(process) < PATIENT_S
