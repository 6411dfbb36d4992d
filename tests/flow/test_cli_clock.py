"""`clock show` and `clock set`: what the meters' clocks show, and putting one right, also on a meter that we did not write."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from simulators.dlt645_face import Dlt645Bus, Dlt645Meter
from simulators.dlt645_server import Dlt645Server
from simulators.truth import Truth
from storage.engine import open_ledger
from storage.records import Batch
from tests.flow.commands import Ended, finish, run, start
from tests.flow.daemons import terminate, wait_for_line
from tests.flow.stocked import CONFIGURATION, place
from tests.ledger.test_clocks import check
from tests.links.clockwork import device
from tests.links.peers import dlt645_meter

KEYS = ["meter", "at", "shown", "drift_s", "uncertainty_s", "verdict", "remedy", "corrections"]
ALLOWED = '[clock]\ncorrect = "command"\npassword_file = "clock.password"\n'
HOUR = timedelta(hours=1)


def site(folder: Path, port: int = 1, clock: str = ALLOWED) -> Path:
    file = place(folder)
    file.write_text(CONFIGURATION.replace("127.0.0.1:1", f"127.0.0.1:{port}") + clock, "utf-8")
    (folder / "clock.password").write_text("02123456\n", "utf-8")
    assert run("meters", "import", "-c", file, folder / "meters.csv").exit_code == 0
    return file


async def typed(*args: object) -> Ended:
    """In a process of its own, while this loop goes on being the meters."""
    return await asyncio.get_running_loop().run_in_executor(None, finish, start(*args))


async def settled(devices: Sequence[Dlt645Meter], folder: Path, *args: str, clock: str = ALLOWED) -> Ended:
    """`clock set` on these meters."""
    async with Dlt645Server(Dlt645Bus(devices, truth=Truth()), now=lambda: datetime.now(UTC)) as server:
        config = await asyncio.to_thread(site, folder, server.port, clock)
        return await typed("clock", "set", "M1", "-c", config, "--why", "its battery failed", *args)


def audit(folder: Path) -> list[tuple[str, str, str]]:
    async def read() -> list[tuple[str, str, str]]:
        ledger = await open_ledger(f"sqlite:///{folder / 'chaobiao.db'}", create=False)
        found = await ledger.clock_changes()
        await ledger.close()
        return [(one.who, one.why, one.outcome) for one in found]

    return asyncio.run(read())


def stored(folder: Path, *, drifts: dict[str, timedelta]) -> Path:
    config = site(folder)

    async def store() -> None:
        ledger = await open_ledger(f"sqlite:///{folder / 'chaobiao.db'}", create=False)
        await ledger.append(Batch(clock_checks=tuple(check(1, drift, meter) for meter, drift in drifts.items())))
        await ledger.close()

    asyncio.run(store())
    return config


def test_how_the_clocks_stand(tmp_path: Path) -> None:
    config = stored(tmp_path, drifts={"M1": timedelta(seconds=-1.5), "M2": -2 * HOUR})
    done = run("clock", "show", "-c", config, "--json")
    assert done.exit_code == 0
    one, two = map(json.loads, done.stdout.splitlines())
    assert list(one) == KEYS
    assert one == {
        "meter": "M1", "at": "2026-03-14T13:00:00Z", "shown": "2026-03-14T12:59:58.500000Z", "drift_s": "-1.500",
        "uncertainty_s": "0.040", "verdict": "right", "remedy": "none", "corrections": 0,
    }  # fmt: skip
    assert (two["drift_s"], two["verdict"], two["remedy"]) == ("-7200.000", "far", "set")
    table = run("clock", "show", "-c", config, "--meter", "M2").stdout
    assert "-2h" in table
    assert "M1" not in table
    assert "偏差过大" in run("clock", "show", "-c", config, language="zh").stdout


def test_no_clock_was_read(tmp_path: Path) -> None:
    config = site(tmp_path)
    assert 'read = ["clock"]' in run("clock", "show", "-c", config).stdout
    assert run("clock", "show", "-c", config, "--meter", "M9").exit_code == 2


def test_a_clock_is_set(tmp_path: Path) -> None:
    one = device("161", -2 * HOUR, since=datetime.now(UTC))
    ended = asyncio.run(settled([one], tmp_path, "--who", "li"))
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("M1: set; it was off by -")
    assert abs(one.meter.timepiece.off(datetime.now(UTC))) <= timedelta(seconds=1)
    assert audit(tmp_path) == [("li", "its battery failed", "ok")]


def test_a_wrong_password_is_said_and_not_tried_again(tmp_path: Path) -> None:
    one = device("161", -2 * HOUR, password="02000000", since=datetime.now(UTC))
    ended = asyncio.run(settled([one], tmp_path))
    assert ended.status == 1
    assert "wrong_password" in ended.err
    assert "123456" not in ended.err
    again = asyncio.run(settled([one], tmp_path))
    assert again.status == 1
    assert "password_rests" in again.err
    assert one.wrong_passwords == 1
    assert [outcome for _, _, outcome in audit(tmp_path)] == ["wrong_password"]


async def beside_a_daemon(one: Dlt645Meter, folder: Path, clock: str) -> Ended:
    """`clock set` while `run` has the line."""
    async with Dlt645Server(Dlt645Bus([one], truth=Truth()), now=lambda: datetime.now(UTC)) as server:
        config = await asyncio.to_thread(site, folder, server.port, clock)
        daemon = start("run", "-c", config)
        try:
            await asyncio.to_thread(wait_for_line, daemon, "collecting")
            done = await typed("clock", "set", "M1", "-c", config, "--why", "its battery failed", "--who", "li")
            await asyncio.to_thread(terminate, daemon)
        finally:
            daemon.kill()
        return done


def orders(folder: Path) -> list[tuple[int, int]]:
    """Kind and state: 4 is a clock; 3 done, 4 failed."""
    with closing(sqlite3.connect(folder / "chaobiao.db")) as connection:
        return connection.execute("SELECT kind, state FROM on_demand").fetchall()


def test_a_daemon_that_has_the_line_sets_it(tmp_path: Path) -> None:
    one = device("161", -2 * HOUR, since=datetime.now(UTC))
    ended = asyncio.run(beside_a_daemon(one, tmp_path, ALLOWED))
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("M1: set; it was off by -")
    assert abs(one.meter.timepiece.off(datetime.now(UTC))) <= timedelta(seconds=1)
    assert audit(tmp_path) == [("li", "its battery failed", "ok")]
    assert orders(tmp_path) == [(4, 3)]


def test_a_daemon_without_a_password_says_so(tmp_path: Path) -> None:
    one = device("161", -2 * HOUR, since=datetime.now(UTC))
    ended = asyncio.run(beside_a_daemon(one, tmp_path, '[clock]\ncorrect = "command"\n'))
    assert ended.status == 2
    assert "the running collector has no password" in ended.err
    assert audit(tmp_path) == []
    assert orders(tmp_path) == [(4, 4)]


@pytest.mark.parametrize(
    ("clock", "says"),
    [
        ("", 'clocks are not set here: [clock] correct is "never"'),
        ('[clock]\ncorrect = "command"\n', "there is no password"),
    ],
)
def test_what_is_not_allowed_sends_nothing(tmp_path: Path, clock: str, says: str) -> None:
    config = site(tmp_path, clock=clock)
    done = run("clock", "set", "M1", "-c", config, "--why", "x")
    assert done.exit_code == 2
    assert says in done.stderr


def test_setting_wants_a_reason_and_a_meter(tmp_path: Path) -> None:
    config = site(tmp_path)
    assert run("clock", "set", "M1", "-c", config).exit_code == 2
    assert "must say why" in run("clock", "set", "M1", "-c", config, "--why", " ").stderr
    unknown = run("clock", "set", "M9", "-c", config, "--why", "x")
    assert unknown.exit_code == 2
    assert "no meter 'M9'" in unknown.stderr


def test_a_meter_that_cannot_be_reached(tmp_path: Path) -> None:
    done = run("clock", "set", "M1", "-c", site(tmp_path), "--why", "x")
    assert done.exit_code == 1
    assert "connection_refused" in done.stderr
    assert audit(tmp_path) == []


def test_a_meter_that_we_did_not_write_is_set(tmp_path: Path) -> None:
    """The PyPI package dlt645: its clock stands still, and takes what is written by password."""
    shown = {"04000101": "26031406", "04000102": "092653"}
    with dlt645_meter("000000000161", parameter=shown, password="02123456") as port:
        config = site(tmp_path, port)
        done = run("clock", "set", "M1", "-c", config, "--why", "x")
        assert done.exit_code == 0, done.stderr
        (shape,) = map(json.loads, run("clock", "show", "-c", config, "--json").stdout.splitlines())
    assert shape["verdict"] == "right"
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    assert datetime.fromisoformat(shape["shown"]).astimezone(ZoneInfo("Asia/Shanghai")).date() == today


def test_a_meter_that_we_did_not_write_refuses_a_wrong_password(tmp_path: Path) -> None:
    shown = {"04000101": "26031406", "04000102": "092653"}
    with dlt645_meter("000000000161", parameter=shown, password="02999999") as port:
        done = run("clock", "set", "M1", "-c", site(tmp_path, port), "--why", "x")
    assert done.exit_code == 1
    assert "wrong_password" in done.stderr


def test_who_it_was_must_be_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may know no name for its user."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("getpass.getuser", nobody)
    done = run("clock", "set", "M1", "-c", site(tmp_path), "--why", "x")
    assert done.exit_code == 2
    assert "say it with --who" in done.stderr
