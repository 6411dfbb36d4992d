"""`report`: the morning's figures."""

import csv
import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.flow.commands import run
from tests.flow.villages import Village

SUCCESS = ["day", "by", "group", "metric", "as_of", "expected", "first_round", "final", "missing", "paused", "rate"]
MISSING = [
    "meter",
    "point",
    "quantity",
    "basis",
    "slot",
    "reason",
    "owner",
    "detail",
    "attempts",
    "since",
    "expires",
]


@pytest.fixture
def village(tmp_path: Path) -> Village:
    """Four hours were due from two meters; m1 answered three times and was silent once, nobody asked m2."""
    place = Village(tmp_path)
    place.commit([place.reading(hour, 100 - hour) for hour in (3, 2, 0)], [place.silent(1)])
    return place


def lines(village: Village, *args: object) -> list[dict[str, Any]]:
    done = run("report", *args, "-c", village.configuration, "--json")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "by", ["day", "area", "station", "channel", "protocol", "profile", "class", "terminal", "plan"]
)
def test_expected_is_collected_and_missing(village: Village, by: str) -> None:
    told = lines(village, "success", "--by", by)  # two days, if it is just after midnight
    assert all(list(line) == SUCCESS for line in told)
    assert {(line["by"], line["metric"]) for line in told} == {(by, "read")}
    assert (sum(line["expected"] for line in told), sum(line["final"] for line in told)) == (8, 3)
    assert all(line["expected"] == line["final"] + line["missing"] for line in told)


def test_groups_are_named(village: Village) -> None:
    assert {line["group"] for line in lines(village, "success", "--by", "protocol")} == {"dlt645"}
    assert {line["group"] for line in lines(village, "success", "--by", "area")} == {"north"}


def test_every_missing_one_is_told_with_its_reason(village: Village) -> None:
    told = lines(village, "missing")
    assert all(list(line) == MISSING for line in told)
    assert [(line["meter"], line["reason"], line["owner"]) for line in told[:-1]] == [
        ("m1", "no_answer", "meter"),
        ("m2", "not_tried", "ours"),
        ("m2", "not_tried", "ours"),
        ("m2", "not_tried", "ours"),
    ]
    assert told[-1]["reason"] in ("not_yet", "not_tried")  # the second, if the hour ended meanwhile
    assert (told[0]["point"], told[0]["attempts"], told[0]["detail"]) == ("P-m1", 3, "silent for 1 s")


def test_conflicts(village: Village) -> None:
    assert lines(village, "conflicts") == []
    village.commit([village.reading(0, 101)])
    (line,) = lines(village, "conflicts")
    assert (line["meter"], line["point"], line["value"], line["other"]) == ("m1", "P-m1", "100", "101")


def test_tables_and_csv(village: Village) -> None:
    assert "no_answer" in run("report", "missing", "-c", village.configuration).stdout
    told = run("report", "missing", "-c", village.configuration, "--format", "csv").stdout
    rows = list(csv.DictReader(StringIO(told)))
    assert list(rows[0]) == MISSING
    assert rows[0]["reason"] == "no_answer"


def test_days_on_which_nothing_was_due(village: Village) -> None:
    assert lines(village, "success", "--from", "2020-01-01", "--to", "2020-01-02") == []


def test_people_see_the_time_of_their_zone_and_words_of_their_language(village: Village) -> None:
    table = run("report", "missing", "-c", village.configuration, language="zh").stdout
    due = (village.now - timedelta(hours=1)).astimezone(ZoneInfo("Asia/Shanghai"))
    assert f"{due:%Y-%m-%d %H:%M:%S}" in table
    assert "无应答" in table
    assert "T00" not in table
    assert not [line for line in table.splitlines() if line != line.rstrip()]


def test_a_table_of_nothing_says_so(village: Village) -> None:
    assert run("report", "conflicts", "-c", village.configuration).stdout == "there are no conflicts\n"
    none = run("report", "success", "-c", village.configuration, "--from", "2020-01-01", "--to", "2020-01-02")
    assert none.stdout == "nothing was due on these days\n"
