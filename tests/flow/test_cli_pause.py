"""`pause`, `resume`, and what the reports make of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.flow.commands import run
from tests.flow.villages import Village


@pytest.fixture
def village(tmp_path: Path) -> Village:
    return Village(tmp_path)


def do(village: Village, *args: object) -> tuple[int, str]:
    done = run(*args, "-c", village.configuration)
    return done.exit_code, done.stdout + done.stderr


def paused(village: Village) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in run("report", "paused", "-c", village.configuration, "--json").stdout.splitlines()
    ]


def test_a_pause_is_kept_with_who_and_why(village: Village) -> None:
    assert do(village, "pause", "meter", "m1", "--why", "empty", "--who", "anna") == (0, "meter m1 is paused\n")
    code, told = do(village, "pause", "meter", "m1", "--why", "works", "--who", "bert")
    assert code == 0
    assert "paused already" in told
    assert "by anna: empty" in told
    assert do(village, "resume", "meter", "m1", "--who", "bert") == (0, "meter m1 is resumed\n")
    assert do(village, "resume", "meter", "m1") == (0, "meter m1 is not paused\n")
    (one,) = paused(village)
    assert list(one) == ["kind", "name", "since", "until", "who", "why", "ended_by"]
    assert (one["kind"], one["name"], one["who"], one["why"], one["ended_by"]) == (
        "meter",
        "m1",
        "anna",
        "empty",
        "bert",
    )
    assert one["until"] > one["since"]


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("meter", "m9", "there is no meter m9"),
        ("channel", "village-9", "there is no channel village-9"),
        ("plan", "hurly", "there is no plan hurly"),
        ("town", "m1", "'town' is not one of"),
    ],
)
@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_what_is_not_there_cannot_be_paused(village: Village, verb: str, kind: str, name: str, says: str) -> None:
    code, told = do(village, verb, kind, name, *(("--why", "x") if verb == "pause" else ()))
    assert (code, says in told) == (2, True)
    assert paused(village) == []


def test_a_pause_has_a_reason(village: Village) -> None:
    assert do(village, "pause", "meter", "m1")[0] == 2


def test_tables_say_it_in_words(village: Village) -> None:
    do(village, "pause", "channel", "village-1", "--why", "线路检修", "--who", "anna")
    table = run("report", "paused", "-c", village.configuration, language="zh").stdout
    assert "通道" in table
    assert "线路检修" in table
    assert "T" not in table
