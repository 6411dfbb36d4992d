"""One collector a database, and nothing left to clean up after one that was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from storage.errors import DatabaseUnusable, OfficeTaken
from storage.office import is_held, office

HOLD = "import sys\nfrom storage.office import office\nwith office(sys.argv[1]):\n    print('holding', flush=True)\n    input()\n"
ROOT = Path(__file__).parents[2]


def holder(url: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "holding\n"
    return process


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'chaobiao.db'}"
    with holder(url) as first:
        with pytest.raises(OfficeTaken, match=rf"chaobiao\.db: process {first.pid} collects"), office(url):
            pass
        assert first.stdin
        first.stdin.write("\n")
    with office(url):
        pass


def test_a_holder_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'chaobiao.db'}"
    with holder(url) as first:
        first.send_signal(signal.SIGKILL)
    with office(url):
        pass


def test_another_database_is_another_office(tmp_path: Path) -> None:
    with office(f"sqlite:///{tmp_path / 'a.db'}"), office(f"sqlite:///{tmp_path / 'b.db'}"):
        pass


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="nowhere"), office(f"sqlite:///{tmp_path / 'nowhere' / 'a.db'}"):
        pass


def test_whether_somebody_is_in_office_can_be_seen(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'chaobiao.db'}"
    assert not is_held(url)
    assert not list(tmp_path.iterdir())  # who looks leaves nothing behind
    with office(url):
        assert is_held(url)
    assert not is_held(url)
    assert not is_held("memory://")


def test_who_looks_is_in_nobodys_way(tmp_path: Path) -> None:
    """A daemon that starts while somebody looks is not told that another one holds the office."""
    url = f"sqlite:///{tmp_path / 'chaobiao.db'}"
    with office(url):
        pass
    looking = True

    def look() -> None:
        while looking:
            is_held(url)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for one in lookers:
        one.start()
    try:
        for _ in range(500):
            with office(url):
                assert is_held(url)
    finally:
        looking = False
        for one in lookers:
            one.join()
