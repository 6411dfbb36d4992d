"""A stranger's mistakes: each gets one clear sentence, the right exit status, no traceback, and leaves things as they were."""

import errno
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import serial

from tests.flow.commands import Ended, finish, run, start
from tests.flow.stocked import CONFIGURATION, METERS, place, stock


def chaobiao(*args: object) -> Ended:
    """The command; an exception that nobody foresaw would go through and fail the test."""
    done = run(*args)
    return Ended(done.exit_code, done.stdout, done.stderr)


def refused(ended: Ended, *says: str) -> None:
    """One sentence on standard error that says all this, and exit status 2."""
    assert ended.status == 2, ended
    assert ended.out == ""
    assert ended.err.count("\n") == 1, ended.err
    for one in says:
        assert one in ended.err


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return place(tmp_path)


NEEDS_THE_LEDGER = [
    ("meters", "list"),
    ("readings", "export"),
    ("validate",),
    ("billing", "deliver"),
    ("report", "success"),
    ("db", "status"),
]


def test_a_misspelt_key(config: Path) -> None:
    config.write_text(CONFIGURATION.replace("protocol =", 'tmeout = "2s"\nprotocol ='), "utf-8")
    refused(
        chaobiao("check", "-c", config), f'{config}:8: channel.0.tmeout: unknown key "tmeout"; did you mean "timeout"?'
    )


def test_an_unknown_protocol(config: Path) -> None:
    config.write_text(CONFIGURATION.replace('"dlt645"', '"dlt654"'), "utf-8")
    refused(
        chaobiao("check", "-c", config),
        f'{config}:8: channel.0.protocol: "dlt654" is not known; did you mean "dlt645"?',
    )


def test_a_newer_format(config: Path) -> None:
    config.write_text("format = 2\n" + CONFIGURATION, "utf-8")
    refused(
        chaobiao("check", "-c", config),
        f"{config}:1: format: this file says 2; this version of chaobiao reads format 1",
    )


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    refused(chaobiao("check", "-c", tmp_path / "none.toml"), "none.toml: No such file or directory")


# Root may read everything; so the system's answer is put in its place.
@pytest.mark.parametrize("command", [("check", "-c"), ("meters", "import", "-c")])
def test_a_file_that_may_not_be_read(config: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    mine = config if command == ("check", "-c") else config.with_name("meters.csv")
    opened = Path.open

    def forbidden(path: Path, *args: Any, **options: Any) -> Any:
        if path == mine:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", forbidden)
    monkeypatch.setattr(os, "access", lambda path, *_: Path(path) != mine)
    refused(chaobiao(*command, config, *([mine] if mine != config else [])), f"{mine}: Permission denied")


@pytest.mark.parametrize("command", [("check", "-c"), ("meters", "import", "-c")])
def test_a_duplicate_meter(config: Path, command: tuple[str, ...]) -> None:
    csv_file = config.with_name("meters.csv")
    csv_file.write_text(METERS + ",,,M1,dlt645_2007_1p,village-1,163,,,,\n", "utf-8")
    ended = chaobiao(*command, config, *([csv_file] if "import" in command else []))
    says = f"{csv_file}:4: meter M1: meter: the meter M1 is in line 2 already\n"
    assert (ended.status, ended.err) == (2, says)


@pytest.mark.parametrize("command", [("check", "-c"), ("meters", "import", "-c")])
def test_an_unknown_profile(config: Path, command: tuple[str, ...]) -> None:
    csv_file = config.with_name("meters.csv")
    csv_file.write_text(METERS + ",,,M3,dlt645_2007_1q,village-1,163,,,,\n", "utf-8")
    ended = chaobiao(*command, config, *([csv_file] if "import" in command else []))
    assert ended.status == 2
    assert ended.err.startswith(
        f'{csv_file}:4: meter M3: profile: "dlt645_2007_1q" is no profile; did you mean "dlt645_2007_1p"?'
    )


@pytest.mark.parametrize("command", ["meters import", "read", "run"])
def test_no_database_is_made_for_a_registry_that_is_wrong(config: Path, command: str) -> None:
    csv_file = config.with_name("meters.csv")
    csv_file.write_text(METERS + ",,,M3,dlt645_2007_1q,village-1,163,,,,\n", "utf-8")
    ended = chaobiao(*command.split(), "-c", config, *([csv_file] if command == "meters import" else []))
    assert (ended.status, "meters.csv:4: meter M3: profile" in ended.err) == (2, True)
    assert sorted(path.name for path in config.parent.iterdir()) == ["collector.toml", "meters.csv"]


@pytest.mark.parametrize("command", NEEDS_THE_LEDGER, ids=" ".join)
def test_a_database_file_that_is_no_database(config: Path, command: tuple[str, ...]) -> None:
    database = config.with_name("chaobiao.db")
    database.write_text("I am a letter, not a database.\n" * 10, "utf-8")
    before = database.read_bytes()
    refused(chaobiao(*command, "-c", config), f"{database} is no database")
    assert database.read_bytes() == before
    assert sorted(path.name for path in config.parent.iterdir()) == ["chaobiao.db", "collector.toml", "meters.csv"]


def test_the_database_of_another_program(config: Path) -> None:
    database = config.with_name("chaobiao.db")
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE birds (name TEXT)")
    other.close()
    before = database.read_bytes()
    refused(
        chaobiao("meters", "import", "-c", config, config.with_name("meters.csv")),
        f"{database} is the database of another",
    )
    assert database.read_bytes() == before


def test_in_a_process_of_its_own_it_looks_the_same(config: Path) -> None:
    config.with_name("chaobiao.db").write_text("I am a letter, not a database.\n" * 10, "utf-8")
    ended = finish(start("meters", "list", "-c", config))
    refused(ended, "chaobiao.db is no database")
    assert ended == chaobiao("meters", "list", "-c", config)


@pytest.mark.parametrize("command", NEEDS_THE_LEDGER, ids=" ".join)
def test_no_database_yet(config: Path, command: tuple[str, ...]) -> None:
    refused(
        chaobiao(*command, "-c", config),
        f"{config.with_name('chaobiao.db')} does not exist; 'chaobiao db upgrade' makes it",
    )


# Root may write everywhere; what it cannot do either is to make a file in something that is no folder.
def test_no_permission_to_write_the_database(config: Path) -> None:
    config.with_name("taken").write_text("a file", "utf-8")
    config.write_text(CONFIGURATION.replace("chaobiao.db", "taken/chaobiao.db"), "utf-8")
    refused(chaobiao("db", "upgrade", "-c", config), "taken/chaobiao.db")


def test_no_permission_to_write_what_init_writes(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", "utf-8")
    refused(chaobiao("init", tmp_path / "taken" / "here"), "cannot write to", "Not a directory")


def test_no_permission_to_write_deliveries(config: Path) -> None:
    config.with_name("deliveries").write_text("a file", "utf-8")
    stock(config, [])
    ended = chaobiao("billing", "deliver", "-c", config)
    assert (ended.status, ended.out) == (1, "")
    assert "deliveries is a file, not a directory" in ended.err
    assert ended.err.count("\n") == 1


def test_a_registry_that_a_spreadsheet_saved_in_gbk(config: Path) -> None:
    csv_file = config.with_name("meters.csv")
    csv_file.write_bytes(METERS.encode("gbk"))
    refused(chaobiao("meters", "import", "-c", config, csv_file), f"{csv_file}:2: is not UTF-8; it looks like GBK")


def test_a_registry_that_is_not_there(config: Path) -> None:
    refused(chaobiao("meters", "import", "-c", config, "none.csv"), "none.csv: No such file or directory")


def pushed(config: Path) -> None:
    """A broker that is not there, and a meter that would push to it."""
    channel = 'link = "mqtt://127.0.0.1:1"\nprotocol = "mqtt-json"\ntopics = ["meters/+/reading"]'
    text = CONFIGURATION.replace('link = "tcp://127.0.0.1:1"\nprotocol = "dlt645"', channel)
    config.write_text(text.replace('basis = "freeze"\nat = "00:05"', 'every = "15m"'), "utf-8")
    config.with_name("meters.csv").write_text("meter,profile,channel,address\nJ1,json_meter,village-1,J1\n", "utf-8")


def test_a_broker_that_is_down_fails_read(config: Path) -> None:
    pushed(config)
    ended = chaobiao("read", "-c", config, "--wait", "200ms")
    assert (ended.status, ended.out) == (1, "")
    assert "mqtt://127.0.0.1:1 cannot be reached" in ended.err
    assert "gave nothing: J1" in ended.err


def test_a_broker_that_is_down_does_not_stop_run(config: Path) -> None:
    pushed(config)
    process = start("run", "-c", config)
    assert process.stderr is not None
    said = ""
    while "trying again" not in said:
        line = process.stderr.readline()
        assert line, f"it ended: {said}"
        said += line
    assert "mqtt://127.0.0.1:1 cannot be reached" in said
    process.send_signal(signal.SIGTERM)
    ended = finish(process)
    assert ended.status == 0
    assert "Traceback" not in said + ended.err


def test_a_serial_port_that_another_program_uses(config: Path) -> None:
    ours, theirs = os.openpty()
    port = os.ttyname(theirs)
    config.write_text(CONFIGURATION.replace("tcp://127.0.0.1:1", f"serial://{port}"), "utf-8")
    with serial.Serial(port, exclusive=True):
        ended = chaobiao("read", "-c", config, "--meter", "M1")
    os.close(ours)
    os.close(theirs)
    assert (ended.status, ended.out) == (1, "")
    assert f"port_in_use: {port}: another program uses it" in ended.err


def test_a_serial_port_that_is_not_there(config: Path) -> None:
    config.write_text(CONFIGURATION.replace("tcp://127.0.0.1:1", "serial:///dev/ttyNOWHERE"), "utf-8")
    ended = chaobiao("read", "-c", config)
    assert (ended.status, ended.out) == (1, "")
    assert "no_such_port: /dev/ttyNOWHERE: there is no such serial port" in ended.err


def test_a_meter_that_the_registry_does_not_know(config: Path) -> None:
    refused(chaobiao("read", "-c", config, "--meter", "M3"), "the registry knows no meter 'M3'")
