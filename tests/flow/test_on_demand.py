"""On demand through the daemon (召测): `read` in another process hands over an order and prints what comes of it."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.flow.commands import READING_KEYS, finish, start
from tests.flow.daemons import closed_port, installation, missing, terminate, wait_for_line
from tests.flow.gateway import ENERGY, Gateway

TWO = "m1,eastron_sdm630,a,1\nm2,eastron_sdm630,a,2\n"


@contextmanager
def daemon(config: Path) -> Iterator[subprocess.Popen[str]]:
    """It collects; killed at the latest at the end."""
    process = start("run", "-c", config)
    try:
        wait_for_line(process, "collecting")
        yield process
    finally:
        process.kill()
        finish(process)


def asked(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "chaobiao.db")) as connection:
        return connection.execute(query).fetchall()


def states(folder: Path) -> list[int]:
    return [int(str(one[0])) for one in asked(folder, "SELECT state FROM on_demand ORDER BY id")]


def until(folder: Path, query: str, *rows: tuple[object, ...]) -> None:
    """Wait until the database says so."""
    deadline = time.monotonic() + 20
    while asked(folder, query) != list(rows):
        assert time.monotonic() < deadline, asked(folder, query)
        time.sleep(0.05)


WAITING, TAKEN, DONE, FAILED, EXPIRED, WITHDRAWN = range(1, 7)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as one:
        yield one


def test_a_daemon_reads_for_another_process(tmp_path: Path, gateway: Gateway) -> None:
    """The same lines, summary and status as without a daemon; the gateway never sees a second connection."""
    config = installation(tmp_path, gateway.channel(), meters=TWO, every="1d")
    alone = finish(start("read", "-c", config, "--json"))
    assert alone.status == 0, alone.err
    with daemon(config) as process:
        done = finish(start("read", "-c", config, "--json"))
        assert done.status == 0, done.err
        assert terminate(process) < 10
    assert gateway.refused == 0
    assert [list(json.loads(line)) for line in done.out.splitlines()] == [READING_KEYS] * 2
    assert sorted(timeless(done.out), key=str) == sorted(timeless(alone.out), key=str)
    assert done.err == alone.err == "2 meters asked, 2 answered; 2 readings, 0 missing\n"
    assert states(tmp_path) == [DONE]
    ((who, by, kind),) = asked(tmp_path, "SELECT asked_by, taken_by, kind FROM on_demand")
    assert re.fullmatch(r".+@.*:\d+", str(who))
    assert str(by).endswith(f":{process.pid}")
    assert kind == 1


def test_a_terminal_sees_each_meter_as_it_comes(tmp_path: Path, gateway: Gateway) -> None:
    """A pipe sees nothing of it: the test above."""
    config = installation(tmp_path, gateway.channel(), meters=TWO, every="1d")
    terminal, end = os.openpty()
    with daemon(config):
        done = finish(start("read", "-c", config, "--json", stderr=end))
    os.close(end)
    seen = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert done.status == 0, seen
    order = [seen.index(words) for words in ("m1: 1 reading", "1 meter asked …", "m2: 1 reading", "2 meters asked …")]
    assert order == sorted(order)


def test_what_is_asked_on_demand_fills_no_slot_and_is_in_no_rate(tmp_path: Path, gateway: Gateway) -> None:
    gateway.silent = frozenset({2})
    config = installation(tmp_path, gateway.channel(more='timeout = "200ms"'), meters=TWO, every="1d")
    with daemon(config) as process:
        slots = asked(tmp_path, "SELECT count(*) FROM filled")
        counts = asked(tmp_path, "SELECT sum(slots) FROM day_count")
        done = finish(start("read", "-c", config, "--json", "--meter", "m1", "--meter", "m2"))
        assert asked(tmp_path, "SELECT count(*) FROM filled") == slots
        assert asked(tmp_path, "SELECT sum(slots) FROM day_count") == counts
        terminate(process)
    assert done.status == 1
    assert "m2: 1-0:1.8.0: no_answer: " in done.err
    assert done.err.endswith("2 meters asked, 1 answered; 1 reading, 1 missing\ngave nothing: m2\n")
    assert ("m2", "no_answer") in [one[:2] for one in missing(config)]


def test_a_line_that_is_dead_says_why(tmp_path: Path) -> None:
    config = installation(
        tmp_path,
        f'name = "a"\nlink = "tcp://127.0.0.1:{closed_port()}"\nprotocol = "modbus-tcp"',
        meters=TWO,
        every="1d",
    )
    with daemon(config) as process:
        done = finish(start("read", "-c", config, "--meter", "m1"))
        terminate(process)
    assert done.status == 1
    assert "m1: 1-0:1.8.0: connection_refused: " in done.err
    assert states(tmp_path) == [DONE]


def test_what_nobody_knows_is_wrong_usage(tmp_path: Path, gateway: Gateway) -> None:
    config = installation(tmp_path, gateway.channel(), meters=TWO, every="1d")
    with daemon(config) as process:
        meter = finish(start("read", "-c", config, "--meter", "m9"))
        plan = finish(start("read", "-c", config, "--plan", "often2"))
        terminate(process)
    assert (meter.status, plan.status) == (2, 2)
    assert meter.err.startswith("the registry knows no meter 'm9'")
    assert plan.err.startswith("the configuration has no plan 'often2'")
    assert len((meter.err + plan.err).splitlines()) == 2
    assert states(tmp_path) == [FAILED, FAILED]


def test_a_person_is_served_although_the_meter_is_paused(tmp_path: Path, gateway: Gateway) -> None:
    config = installation(tmp_path, gateway.channel(), meters=TWO, every="1d")
    assert finish(start("meters", "import", "-c", config, tmp_path / "meters.csv")).status == 0
    assert finish(start("pause", "meter", "m1", "-c", config, "--why", "being moved")).status == 0
    with daemon(config) as process:
        done = finish(start("read", "-c", config, "--meter", "m1", "--json"))
        terminate(process)
    assert done.status == 0, done.err
    assert json.loads(done.out)["value"] == "1234.50"


def test_ctrl_c_withdraws_the_order(tmp_path: Path, gateway: Gateway) -> None:
    """What is in hand ends, what has not begun is never asked; nothing waits for it any more."""
    config = installation(tmp_path, gateway.channel(more='timeout = "20s"'), meters=TWO, every="1d")
    with daemon(config) as process:
        gateway.open.clear()
        gateway.heard.clear()
        reader = start("read", "-c", config)
        assert gateway.heard.wait(20)
        reader.send_signal(signal.SIGINT)
        assert finish(reader).status == 130
        assert states(tmp_path) == [WITHDRAWN]
        wait_for_line(process, "was withdrawn")
        questions = len(gateway.asked)
        gateway.open.set()
        done = finish(start("read", "-c", config, "--meter", "m1"))
        assert done.status == 0, done.err
        assert len(gateway.asked) == questions + 1, "the meter that had not begun was asked all the same"
        terminate(process)


def test_an_order_outlives_a_daemon_that_is_killed(tmp_path: Path, gateway: Gateway) -> None:
    """`kill -9` while one meter has answered and the other is being asked: the next daemon asks the other one only."""
    config = installation(tmp_path, gateway.channel(more='timeout = "20s"'), meters=TWO, every="1d")
    with daemon(config) as process:
        reader = start("read", "-c", config, "--json")
        gateway.silent = frozenset({2})
        until(tmp_path, "SELECT count(*) FROM on_demand_line", (1,))
        process.kill()
        process.wait()
        gateway.silent = frozenset()
        gateway.asked.clear()
        with daemon(config) as second:
            done = finish(reader)
            assert done.status == 0, done.err
            terminate(second)
    assert sorted(json.loads(line)["meter"] for line in done.out.splitlines()) == ["m1", "m2"]
    assert done.err == "2 meters asked, 2 answered; 2 readings, 0 missing\n"
    assert gateway.asked == [(2, ENERGY)]
    assert asked(tmp_path, "SELECT state, times FROM on_demand") == [(DONE, 2)]


def test_an_order_whose_time_is_over(tmp_path: Path, gateway: Gateway) -> None:
    """A line that is busy for longer: nobody is asked after the deadline, and each meter has its reason."""
    config = installation(tmp_path, gateway.channel(more='timeout = "20s"'), meters=TWO, every="1d")
    with daemon(config) as process:
        gateway.open.clear()
        gateway.heard.clear()
        first = start("read", "-c", config, "--meter", "m1")
        assert gateway.heard.wait(20)
        late = finish(start("read", "-c", config, "--meter", "m2", "--within", "2s"))
        gateway.open.set()
        assert finish(first).status == 0
        terminate(process)
    assert late.status == 1
    assert "m2: 1-0:1.8.0: window_closed: its turn did not come before the deadline" in late.err
    assert [unit for unit, _ in gateway.asked].count(2) == 0
    assert sorted(states(tmp_path)) == [DONE, EXPIRED]


def test_probe_and_scan_on_a_line_that_the_daemon_has(tmp_path: Path, gateway: Gateway) -> None:
    """A gateway with one connection, which is the daemon's; what is printed is what is printed without a daemon."""
    gateway.silent = frozenset(range(1, 256)) - {1, 3}
    config = installation(tmp_path, gateway.channel(), meters=TWO, every="1d")
    device = (gateway.url, "--protocol", "modbus-tcp", "--timeout", "300ms")
    one = ("probe", *device, "--address", "1", "--profile", "eastron_sdm630", "--json", "--frames")
    line = ("scan", *device, "--from", "1", "--to", "4", "--json")
    alone = [finish(start(*command)) for command in (one, line)]
    with daemon(config) as process:
        lent = [finish(start(*command, "-c", config)) for command in (one, line)]
        after = finish(start("read", "-c", config, "--meter", "m1"))
        terminate(process)
    assert gateway.refused == 0
    assert asked(tmp_path, "SELECT kind, state FROM on_demand ORDER BY id") == [(2, DONE), (3, DONE), (1, DONE)]
    assert [(done.status, timeless(done.out)) for done in lent] == [(done.status, timeless(done.out)) for done in alone]
    assert len(lent[0].out.splitlines()) > 20
    assert lent[0].err.count("> ") == alone[0].err.count("> ") > 1
    assert [json.loads(row)["address"] for row in lent[1].out.splitlines()] == ["1", "3"]
    assert lent[1].err == alone[1].err
    assert after.status == 0


def timeless(out: str) -> list[dict[str, object]]:
    changing = ("time", "received_at")
    return [{key: value for key, value in json.loads(line).items() if key not in changing} for line in out.splitlines()]
