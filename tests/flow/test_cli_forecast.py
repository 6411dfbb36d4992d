"""`plans forecast`: one line a channel, an exit status for scripts, and sentences for what it cannot understand."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from storage.records import Attempt, Batch
from tests.flow.commands import run
from tests.flow.stocked import CONFIGURATION, METERS, place, stock

SHANGHAI = ZoneInfo("Asia/Shanghai")
SLOW = CONFIGURATION.replace("tcp://127.0.0.1:1", "serial:///dev/ttyS0?baudrate=2400&parity=E")
KEYS = [
    *("channel", "link", "by", "finishes", "meters", "heard", "silent", "values", "begins", "done", "late", "missed"),
    *("known", "plans"),
]
AT = "2026-03-15T00:00"
DUE = datetime(2026, 3, 15, 0, 5, tzinfo=SHANGHAI)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = place(tmp_path, METERS.replace("100/5,,", "100/5,2026-03-01,"))
    file.write_text(SLOW, "utf-8")
    return file


def forecast(config: Path, *more: str, status: int = 0) -> dict[str, object]:
    done = run("plans", "forecast", "-c", config, "--at", AT, "--json", *more)
    assert done.exit_code == status, done.output
    found: dict[str, object] = json.loads(done.stdout.splitlines()[0])
    assert list(found) == KEYS
    return found


def test_before_there_is_a_database_the_speed_of_the_line_tells(config: Path) -> None:
    found = forecast(config)
    assert {key: found[key] for key in ("channel", "by", "finishes", "meters", "values", "known")} == {
        "channel": "village-1", "by": "2026-03-14T22:00:00Z", "finishes": True, "meters": 2, "values": 2, "known": "line",
    }  # fmt: skip
    assert found["begins"] == "2026-03-14T16:05:00Z"
    took = datetime.fromisoformat(str(found["done"])) - DUE
    assert timedelta(seconds=1) < took < timedelta(seconds=3)
    assert not config.with_name("chaobiao.db").exists(), "looking makes nothing"


def attempts(meter: str, seconds: float, outcome: str = "ok") -> tuple[Attempt, ...]:
    """One a minute, the night before; M2 half a minute after M1."""
    began = DUE - timedelta(days=1) + timedelta(seconds=30) * (meter == "M2")
    return tuple(
        Attempt(meter, "village-1", "daily", (began + timedelta(seconds=60 * n)).astimezone(ZoneInfo("UTC")),
                round(seconds * 1e6), outcome, sent=bytes(20), received=bytes(20))
        for n in range(5)
    )  # fmt: skip


def test_what_the_meters_took_is_learned_from_the_ledger(config: Path) -> None:
    stock(config, [Batch(attempts=attempts("M1", 20.0)), Batch(attempts=attempts("M2", 1.0, "no_answer"))])
    found = forecast(config)
    assert (found["known"], found["heard"], found["silent"], found["values"]) == ("learned", 1, 1, 1)
    took = datetime.fromisoformat(str(found["done"])) - DUE
    assert timedelta(seconds=60) < took < timedelta(seconds=70), "three questions of twenty seconds"


def test_a_channel_that_will_not_be_done_is_named_and_the_exit_status_says_so(config: Path) -> None:
    assert forecast(config, "--by", "00:06")["finishes"] is True
    stock(config, [Batch(attempts=(*attempts("M1", 20.0), *attempts("M2", 20.0)))])
    done = run("plans", "forecast", "-c", config, "--at", AT, "--by", "00:07")
    assert (done.exit_code, done.stderr) == (1, "not done by 00:07: village-1\n")
    assert "no: 1 later" in done.stdout
    assert forecast(config, "--by", "00:07", status=1)["late"] == 1
    chinese = run("plans", "forecast", "-c", config, "--at", AT, "--by", "00:07", language="zh")
    assert "不能：1 个更晚" in chinese.stdout
    assert "00:07 前抄不完：village-1" in chinese.stderr


def test_a_channel_on_which_nobody_answers_will_not_be_done(config: Path) -> None:
    stock(config, [Batch(attempts=(*attempts("M1", 1.0, "no_answer"), *attempts("M2", 1.0, "connection_refused")))])
    done = run("plans", "forecast", "-c", config, "--at", AT)
    assert done.exit_code == 1
    assert "no: nobody answers" in done.stdout


def test_what_is_left_out_on_purpose_is_not_waited_for(config: Path) -> None:
    stock(config, [])
    paused = run("pause", "meter", "M1", "--why", "rebuilt", "-c", config)
    assert paused.exit_code == 0, paused.output
    now = datetime.now(SHANGHAI) + timedelta(minutes=1)
    done = run("plans", "forecast", "-c", config, "--at", f"{now:%Y-%m-%dT%H:%M}", "--by", "00:30", "--json")
    assert json.loads(done.stdout)["values"] == 1


def test_from_now_on_it_is_what_is_open_now(config: Path) -> None:
    """Today's freeze is open all day, so there is always one to be read; with nothing on the line it is done at once."""
    done = run("plans", "forecast", "-c", config, "--json", "--by", "00:04")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["values"] == 2


def test_a_table_for_people_and_one_without_channels(config: Path) -> None:
    done = run("plans", "forecast", "-c", config, "--at", AT)
    heading, _, row = done.stdout.splitlines()
    assert heading.split()[:4] == ["channel", "meters", "silent", "known"]
    assert row.split() == [
        *("village-1", "2", "the", "line's", "speed", "daily", "2", "2026-03-15", "00:05:00", "2026-03-15", "00:05:01"),
        *("0:00:02", "yes"),
    ]
    bare = SLOW.replace('"serial:///dev/ttyS0?baudrate=2400&parity=E"', '"mqtt://127.0.0.1:1883"')
    config.write_text(bare.replace('"dlt645"', '"mqtt-json"\ntopics = ["m/#"]'), "utf-8")
    config.with_name("meters.csv").write_text("meter,profile,channel,address\n", "utf-8")
    assert run("plans", "forecast", "-c", config).stdout == "no channel is polled\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--by", "6"), '--by: "6" is no time of day; write hours and minutes, as in "00:05"'),
        (("--at", "25:00"), '--at: "25:00" is no time of day'),
        (("--at", "tomorrow"), '--at: "tomorrow" is no time; write 22:00 or 2026-03-15T22:00'),
    ],
)
def test_a_time_that_is_none_is_wrong_usage(config: Path, options: tuple[str, ...], says: str) -> None:
    done = run("plans", "forecast", "-c", config, *options)
    assert done.exit_code == 2
    assert says in done.stderr
