"""`plans list`: what is read, from whom, when, and by how many it cannot be given."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.flow.commands import run
from tests.flow.stocked import CONFIGURATION, place
from tests.house.sources import ROOT

SHANGHAI = ZoneInfo("Asia/Shanghai")
QUARTERS = """\
[[plan]]
name = "quarters"
read = ["1-0:16.7.0", "1-0:52.7.0"]
every = "15m"
channels = ["village-1"]
areas = ["台区7", "台区8"]
"""
KEYS = [
    *("plan", "read", "kind", "basis", "at", "every", "days", "window", "jitter", "cutoff"),
    *("channels", "areas", "stations", "classes", "profiles", "next_due", "meters", "lacking", "cannot_give"),
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two single-phase meters, one of them in area 7; a freeze from all, and quarter hours from two areas."""
    file = place(tmp_path)
    file.write_text(CONFIGURATION.replace("[billing]", QUARTERS + "[billing]"), "utf-8")
    return file


def listed(config: Path) -> dict[str, dict[str, Any]]:
    done = run("plans", "list", "-c", config, "--json")
    assert done.exit_code == 0, done.output
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(list(one) == KEYS for one in found)
    return {one["plan"]: one for one in found}


def test_plans_with_what_they_come_to(config: Path) -> None:
    before = datetime.now(UTC)
    found = listed(config)
    due = {name: datetime.fromisoformat(one.pop("next_due")) for name, one in found.items()}
    assert found == {
        "daily": {
            "plan": "daily", "read": ["1-0:1.8.0"], "kind": "freeze", "basis": "freeze", "at": "00:05", "every": None,
            "days": [], "window": None, "jitter": None, "cutoff": None, "channels": [], "areas": [], "stations": [],
            "classes": [], "profiles": [], "meters": 2, "lacking": 0, "cannot_give": {},
        },
        "quarters": {
            "plan": "quarters", "read": ["1-0:16.7.0", "1-0:52.7.0"], "kind": "instant", "basis": "instant",
            "at": None, "every": "15m", "days": [], "window": None, "jitter": None, "cutoff": None,
            "channels": ["village-1"], "areas": ["台区7", "台区8"], "stations": [], "classes": [], "profiles": [],
            "meters": 1, "lacking": 1, "cannot_give": {"1-0:52.7.0": {"dlt645_2007_1p": 1}},
        },
    }  # fmt: skip
    assert f"{due['daily'].astimezone(SHANGHAI):%H:%M:%S}" == "00:05:00"
    assert before <= due["daily"] < before + timedelta(days=1, minutes=1)
    assert due["quarters"].minute % 15 == due["quarters"].second == 0
    assert before <= due["quarters"] < before + timedelta(minutes=16)


def test_a_table_for_people(config: Path) -> None:
    done = run("plans", "list", "-c", config)
    assert done.exit_code == 0
    _, _, daily, quarters = done.stdout.splitlines()
    assert daily.split()[:6] == ["daily", "1-0:1.8.0", "freeze", "00:05", "1d", "all"]
    assert daily.split()[-2:] == ["2", "0"]
    assert "every 15m" in quarters
    assert "channel village-1; area 台区7, 台区8" in quarters
    assert quarters.split()[-2:] == ["1", "1"]
    assert done.stderr == "plan quarters: 1 of 1 meters cannot give 1-0:52.7.0 (instant): dlt645_2007_1p 1\n"
    assert "下次到期" in run("plans", "list", "-c", config, language="zh").stdout


MONTHS = """\
[[plan]]
name = "monthly"
read = ["1-0:1.8.0"]
basis = "settlement"
at = "00:05"
days = [11, 1]
window = "6h"
jitter = "2m"
cutoff = "08:00"
stations = ["East"]
[[plan]]
name = "clocks"
read = ["clock", "status"]
at = "03:00"
"""


def test_kinds_windows_jitter_and_cut_offs(config: Path) -> None:
    config.write_text(CONFIGURATION.replace("[billing]", MONTHS + "[billing]"), "utf-8")
    found = listed(config)
    monthly = {key: found["monthly"][key] for key in KEYS[2:10]}
    assert monthly == {
        "kind": "settlement", "basis": "settlement", "at": "00:05", "every": None, "days": [1, 11],
        "window": "6h", "jitter": "2m", "cutoff": "08:00",
    }  # fmt: skip
    assert (found["monthly"]["stations"], found["clocks"]["kind"]) == (["East"], "care")
    due = datetime.fromisoformat(found["monthly"]["next_due"]).astimezone(SHANGHAI)
    assert due.day in (1, 11)
    _, _, _, monthly_row, clocks = run("plans", "list", "-c", config).stdout.splitlines()
    assert "settlement   00:05 on day 1, 11 of the month   6h     2m       08:00     station East" in monthly_row
    assert clocks.split()[:6] == ["clocks", "clock,", "status", "care", "03:00", "1d"]
    assert "每月 1, 11 日 00:05" in run("plans", "list", "-c", config, language="zh").stdout


def test_meters_are_those_of_the_database_once_there_is_one(config: Path) -> None:
    imported = run("meters", "import", "-c", config, config.with_name("meters.csv"))
    assert imported.exit_code == 0
    config.with_name("meters.csv").write_text("meter,profile,channel,address\n", "utf-8")
    assert [one["meters"] for one in listed(config).values()] == [2, 1]


def test_before_there_is_any_registry_plans_take_nobody(config: Path) -> None:
    config.with_name("meters.csv").unlink()
    assert [one["meters"] for one in listed(config).values()] == [0, 0]
    assert not config.with_name("chaobiao.db").exists(), "looking makes nothing"


def test_a_profile_that_has_gone_gives_nothing(config: Path) -> None:
    own = config.parent / "profiles.d"
    own.mkdir()
    text = (ROOT / "protocols/profiles/dlt645_2007_1p.toml").read_text("utf-8")
    (own / "ours.toml").write_text(text.replace('id = "dlt645_2007_1p"', 'id = "ours"', 1), "utf-8")
    whole = config.read_text("utf-8")
    config.write_text('[site]\nprofiles_d = "profiles.d"\n' + whole, "utf-8")
    meters = config.with_name("meters.csv")
    meters.write_text(meters.read_text("utf-8").replace("dlt645_2007_1p", "ours"), "utf-8")
    assert run("meters", "import", "-c", config, meters).exit_code == 0
    config.write_text(whole, "utf-8")
    assert listed(config)["daily"]["cannot_give"] == {"1-0:1.8.0": {"ours": 2}}


def test_no_plan_is_said(config: Path) -> None:
    config.write_text(CONFIGURATION.partition("[[plan]]")[0], "utf-8")
    done = run("plans", "list", "-c", config)
    assert (done.exit_code, done.stdout) == (0, "there is no plan\n")
