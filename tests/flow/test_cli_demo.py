"""`demo` as a process: however it is told to stop, nothing of it stays."""

import signal
import sys
from pathlib import Path

import pytest

from collector.cli.tables import show_table
from tests.flow.commands import finish, start


@pytest.mark.parametrize(
    ("args", "number", "status"),
    [
        ((), signal.SIGINT, 0),
        ((), signal.SIGTERM, 0),
        ((), signal.SIGHUP, 0),
        (("--once",), signal.SIGHUP, 130),
    ],
    ids=["ctrl-c", "service", "window", "once"],
)
def test_it_ends_when_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], number: signal.Signals, status: int
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = start("demo", *args)
    assert process.stdout is not None
    assert "simulated meters" in process.stdout.readline()
    assert list(tmp_path.iterdir()), "it lives there, and so does its broker"
    process.send_signal(number)
    ended = finish(process)
    assert (ended.status, ended.err) == (status, "")
    assert not list(tmp_path.iterdir())


def test_a_narrow_terminal_breaks_no_word_of_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    show_table(("meter", "detail"), [("workshop-1", "127.0.0.1:8021: Connection refused")])
    assert "workshop-1   127.0.0.1:8021: Connection refused\n" in capsys.readouterr().out
