"""The daemon and `read` as processes: signals, a second one, a broker that is down, ports and profiles that are not there."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sqlite3
import subprocess
import termios
from collections.abc import Mapping
from contextlib import closing
from decimal import Decimal
from importlib import resources
from pathlib import Path

import pytest

from tests.flow.commands import Ended, finish, start
from tests.flow.daemons import (
    PATIENT_S,
    closed_port,
    installation,
    missing,
    terminate,
    wait_for_line,
)
from tests.links.broker import PUBLISH, Mosquitto, needs_mosquitto


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


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_that_comes_while_it_closes_does_not_change_how_it_ended(
    tmp_path: Path, again: signal.Signals
) -> None:
    channel = f'name = "a"\nlink = "tcp://127.0.0.1:{closed_port()}"\nprotocol = "modbus-tcp"'
    process = start("run", "-c", installation(tmp_path, channel, meters="m1,eastron_sdm630,a,1\n"))
    wait_for_line(process, "collecting 1 meter")
    process.send_signal(signal.SIGTERM)
    wait_for_line(process, "nothing is left half done")  # drained; the ledger is still to be closed
    while process.poll() is None:
        process.send_signal(again)
    assert process.returncode == 0
    finish(process)


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


def asked_after(folder: Path, message: Mapping[str, object], *args: object, topics: str, meters: str) -> Ended:
    """`read`, from a broker that keeps one message for whoever comes."""
    assert PUBLISH
    place = folder / "broker"
    place.mkdir()
    broker = Mosquitto(place)
    broker.start()
    try:
        retained = [PUBLISH, "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-r", "-t", "meters/17/reading"]
        subprocess.run([*retained, "-m", json.dumps(message)], check=True, timeout=10)
        channel = f'name = "a"\nlink = "mqtt://127.0.0.1:{broker.port}"\nprotocol = "mqtt-json"\ntopics = {topics}'
        return finish(start("read", "-c", installation(folder, channel, meters=meters), "--json", *args))
    finally:
        broker.stop()


@needs_mosquitto
def test_mosquitto_pub_through_read(tmp_path: Path) -> None:
    message = {"time": "2026-03-15T10:00:00+08:00", "values": {"1-0:1.8.0": "123.45"}, "seq": 17}
    ended = asked_after(tmp_path, message, topics='["meters/+/reading"]', meters="m1,json_meter,a,17\n")
    assert ended.status == 0, ended.err
    (reading,) = [json.loads(line) for line in ended.out.splitlines()]
    assert Decimal(reading["value"]) == Decimal("123.45")
    assert (reading["time"], reading["source"], reading["unit"]) == ("2026-03-15T02:00:00Z", "push", "kWh")


@needs_mosquitto
def test_a_message_that_the_broker_delivers_twice_is_told_once(tmp_path: Path) -> None:
    message = {"time": "2026-03-15T10:00:00+08:00", "values": {"1-0:1.8.0": "123.45"}}
    topics = '["meters/+/reading", "meters/17/reading"]'  # it matches both, and comes once for each
    meters = "m1,json_meter,a,17\nsilent,json_meter,a,18\n"
    ended = asked_after(tmp_path, message, "--wait", "2s", topics=topics, meters=meters)
    assert [json.loads(line)["meter"] for line in ended.out.splitlines()] == ["m1"]
    assert "2 meters asked, 1 answered; 1 reading, 1 missing" in ended.err


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
