"""`validate` and `billing`: from stored readings to files, as an operator types it."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.flow.commands import finish, run, start
from tests.flow.villages import Village
from tests.rooms.handing_over import ToyBilling


@pytest.fixture
def village(tmp_path: Path) -> Village:
    """Three good values, and one that fell."""
    place = Village(tmp_path)
    place.commit([place.reading(3, 100), place.reading(2, 101), place.reading(1, 90), place.reading(3, 7, "m2")])
    return place


def test_from_readings_to_a_delivery(village: Village) -> None:
    judged = run("validate", "-c", village.configuration)
    assert (judged.exit_code, judged.stdout) == (
        0,
        "4 readings judged: 3 verified, 1 suspect\n  register_decreased: 1\n",
    )
    done = run("billing", "deliver", "-c", village.configuration)
    assert (done.exit_code, done.stdout) == (0, "batch-00000001.jsonl: 3 rows\n")
    billing = ToyBilling(village.deliveries).load()
    assert [(row["account"], row["value"], row["multiplier"]) for row in billing.rows] == [
        ("A-m1", "100.00", "20"),
        ("A-m1", "101.00", "20"),
        ("A-m2", "7.00", "20"),
    ]


def test_again_says_so_and_is_status_0(village: Village) -> None:
    run("validate", "-c", village.configuration)
    run("billing", "deliver", "-c", village.configuration)
    again = run("validate", "-c", village.configuration)
    assert (again.exit_code, again.stdout) == (0, "0 readings judged: 0 verified, 0 suspect\n")
    done = run("billing", "deliver", "-c", village.configuration)
    assert (done.exit_code, done.stdout) == (0, "nothing new to hand over\n")
    assert len(list(village.deliveries.iterdir())) == 2


def test_what_is_shown_is_what_was_written(village: Village) -> None:
    run("validate", "-c", village.configuration)
    run("billing", "deliver", "-c", village.configuration)
    shown = run("billing", "show", "-c", village.configuration, 1, "--json").stdout
    written = (village.deliveries / "batch-00000001.jsonl").read_text("utf-8")
    assert [json.loads(line) for line in shown.splitlines()] == [json.loads(line) for line in written.splitlines()]


def test_a_directory_that_is_another_ledgers(village: Village) -> None:
    run("validate", "-c", village.configuration)
    village.deliveries.mkdir()
    (village.deliveries / "batch-00000001.jsonl").write_text("theirs", "utf-8")
    done = run("billing", "deliver", "-c", village.configuration)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{village.deliveries / 'batch-00000001.jsonl'} exists, but this ledger has not")
    assert len(done.stderr.splitlines()) == 1
    assert run("billing", "list", "-c", village.configuration, "--json").stdout == ""


def test_a_file_where_the_directory_should_be(village: Village) -> None:
    run("validate", "-c", village.configuration)
    village.deliveries.write_text("", "utf-8")
    done = run("billing", "deliver", "-c", village.configuration)
    assert (done.exit_code, done.stderr) == (
        1,
        f"{village.deliveries} is a file, not a directory; deliveries cannot be written\n",
    )


KILLED = """
import os, sys
from collector.outlets import files
from collector.jobs import deliver
die_at = sys.argv.pop(1)
def step(name):
    if name == die_at:
        os._exit(9)
directory, job = files.DeliveryDirectory.__init__, deliver.Deliverer.__init__
def watched_directory(self, path):
    directory(self, path, step=step)
def watched_job(self, *args):
    job(self, *args, step=step)
files.DeliveryDirectory.__init__, deliver.Deliverer.__init__ = watched_directory, watched_job
from collector.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("die_at", "left"),
    [
        ("promised", []),
        ("unflushed batch-00000001.jsonl", []),
        ("renamed batch-00000001.jsonl", ["batch-00000001.jsonl"]),
        ("before written", ["batch-00000001.jsonl", "batch-00000001.manifest.json"]),
    ],
)
def test_a_process_that_dies_without_a_word(village: Village, die_at: str, left: list[str]) -> None:
    """On a real database; between all other steps: tests/rooms/test_billing_deliver.py."""
    run("validate", "-c", village.configuration)
    killed = finish(start(die_at, "billing", "deliver", "-c", village.configuration, code=KILLED))
    assert killed.status == 9, killed.err
    assert sorted(path.name for path in village.deliveries.iterdir()) == left
    done = run("billing", "deliver", "-c", village.configuration)
    assert (done.exit_code, done.stdout) == (0, "batch-00000001.jsonl: 3 rows\n")
    assert [row["value"] for row in ToyBilling(village.deliveries).load().rows] == ["100.00", "101.00", "7.00"]
    assert run("billing", "deliver", "-c", village.configuration).stdout == "nothing new to hand over\n"


def test_everybody_at_once(village: Village) -> None:
    """Two people judge and one hands over while readings come: each value goes out once, nobody fails."""
    started = [
        start(*command, "-c", village.configuration)
        for command in (("validate",), ("billing", "deliver"), ("validate",))
    ]
    for second in range(20):
        late = village.reading(1, 8, "m2")
        at = late.time + timedelta(seconds=second + 1)
        village.commit([replace(late, time=at, received_at=at, slot=None, data_day=None)])
    for process in started:
        ended = finish(process)
        assert (ended.status, ended.err) == (0, "")
    assert run("validate", "-c", village.configuration).exit_code == 0
    assert run("billing", "deliver", "-c", village.configuration).exit_code == 0
    assert len(ToyBilling(village.deliveries).load().rows) == 3 + 20
