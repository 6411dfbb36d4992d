"""`report`: the morning's figures."""

import csv
import json
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from storage.days import data_day, day_start
from storage.records import Basis, Missing, Owner, Plan, Reading, Slot, Source
from tests.flow.commands import run
from tests.flow.villages import IMPORT, Village

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
    "by",
    ["day", "month", "area", "station", "channel", "protocol", "profile", "maker", "class", "terminal"],
)
def test_expected_is_collected_and_missing(village: Village, by: str) -> None:
    told = lines(village, "success", "--by", by)  # two days, if it is just after midnight
    assert all(list(line) == SUCCESS for line in told)
    assert {(line["by"], line["metric"]) for line in told} == {(by, "curve")}
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


# --- freezes ------------------------------------------------------------------------------------------------------------------

DAILY = Plan("daily", (IMPORT,), Basis.FREEZE, at_minute=5)


@pytest.fixture
def frozen(tmp_path: Path) -> Village:
    """m1's freezes of four data days came, m2's of the first; then it was silent."""
    place = Village(tmp_path)
    zone = ZoneInfo("Asia/Shanghai")
    today = place.now.astimezone(zone).date()
    midnights = [day_start(today - timedelta(days=n), zone) for n in (4, 3, 2, 1)]
    place.plan(DAILY, since=midnights[0] - timedelta(days=1), until=midnights[-1] + timedelta(hours=1))

    def slot(meter: str, at: datetime) -> Slot:
        return Slot("daily", meter, IMPORT, Basis.FREEZE, at)

    def came(meter: str, at: datetime) -> Reading:
        day = data_day(at, Basis.FREEZE, zone)
        received = at + timedelta(hours=1)
        return Reading(meter, IMPORT, Basis.FREEZE, at, 7, 1, Source.POLL, received, slot=slot(meter, at), data_day=day)

    def silent(at: datetime) -> Missing:
        day = data_day(at, Basis.FREEZE, zone)
        return Missing(slot("m2", at), day, "no_answer", Owner.LINE, "no answer within 1 s", 3)

    place.commit(
        [*(came("m1", at) for at in midnights), came("m2", midnights[0])], [silent(at) for at in midnights[1:]]
    )
    return place


def data_day_of(village: Village, back: int) -> str:
    """Of the midnight so many days back."""
    return f"{village.now.astimezone(ZoneInfo('Asia/Shanghai')).date() - timedelta(days=back + 1):%Y-%m-%d}"


def test_read_success_as_of_a_cut_off(frozen: Village) -> None:
    days = "--from", data_day_of(frozen, 4), "--to", data_day_of(frozen, 1)
    told = lines(frozen, "success", "--metric", "read", "--as-of", "08:00", *days)
    assert [(one["metric"], one["expected"], one["final"], one["rate"]) for one in told] == [
        ("read", 2, 2, "100.00"),
        *[("read", 2, 1, "50.00")] * 3,
    ]
    (summed,) = lines(frozen, "success", "--metric", "read", "--sum", "--by", "area", *days)
    assert (summed["group"], summed["expected"], summed["final"], summed["rate"]) == ("north", 8, 5, "62.50")


def test_why_a_rate_moved(frozen: Village) -> None:
    (one,) = lines(frozen, "success", "--why", "--to", data_day_of(frozen, 3))
    assert (one["change"], one["meter"], one["point"]) == ("newly_failed", "m2", "P-m2")
    table = run("report", "success", "-c", frozen.configuration, "--why", "--to", data_day_of(frozen, 3), language="zh")
    assert f"{data_day_of(frozen, 3)}：应采 2，实采 1，50.00 %" in table.stdout
    assert "新失败" in table.stdout
    assert lines(frozen, "success", "--why", "--to", data_day_of(frozen, 2)) == []
    wrong = run("report", "success", "-c", frozen.configuration, "--why", "--metric", "curve")
    assert (wrong.exit_code, "read, all_items, reading_day" in wrong.stderr) == (2, True)


def test_who_has_failed_for_how_long(frozen: Village) -> None:
    (one,) = lines(frozen, "missing", "--consecutive", "--to", data_day_of(frozen, 1))
    assert (one["meter"], one["days"], one["since"], one["reason"], one["owner"]) == (
        *("m2", 3, data_day_of(frozen, 3)),
        *("no_answer", "line"),
    )
    assert lines(frozen, "missing", "--consecutive", "4", "--to", data_day_of(frozen, 1)) == []
