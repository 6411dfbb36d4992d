"""`simulate`: a fleet that another process of ours reads, and that tells the truth afterwards."""

import json
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from tests.flow.commands import finish, run, start

SCENARIO = """\
format = 1
title = "A workshop"
seed = 7
start = 2024-03-14T20:00:00+08:00
[[line]]
name = "workshop"
protocol = "modbus-tcp"
[[meter]]
meter = "lathe"
line = "workshop"
profile = "eastron_sdm630"
address = "1"
load = "shop"
register = "815.5"
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "workshop.toml"
    file.write_text(SCENARIO, "utf-8")
    return file


def test_a_fleet_is_read_with_the_configuration_that_it_writes(scenario: Path, tmp_path: Path) -> None:
    folder, truth = tmp_path / "fleet", tmp_path / "truth.jsonl"
    process = start("simulate", scenario, "--write-config", folder, "--truth", truth)
    assert process.stdout is not None
    configuration = folder / "collector.toml"
    said = ""
    while "chaobiao read" not in said:
        line = process.stdout.readline()
        assert line, "it ended before it listened"
        said += line
    assert "lathe" in said
    assert str(configuration) in said
    read = run("read", "-c", configuration, "--json")
    process.send_signal(signal.SIGTERM)
    ended = finish(process)
    assert (ended.status, ended.err) == (0, "")
    assert read.exit_code == 0, read.output
    told = [json.loads(line) for line in truth.read_text("utf-8").splitlines()]
    shown = {(one["meter"], one["quantity"], Decimal(one["value"])) for one in told if "value" in one}
    readings = [json.loads(line) for line in read.stdout.splitlines()]
    assert readings
    for one in readings:
        assert (one["meter"], one["quantity"], Decimal(one["value"])) in shown, "not what the meter showed"


def test_a_configuration_of_somebody_else_is_not_overwritten(scenario: Path, tmp_path: Path) -> None:
    mine = tmp_path / "collector.toml"
    mine.write_text("# mine\n", "utf-8")
    done = run("simulate", scenario, "--write-config", tmp_path)
    assert (done.exit_code, done.stderr) == (2, f"{mine}: there already; nothing was written\n")
    assert mine.read_text("utf-8") == "# mine\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("nowhere",), "nowhere"),
        (("none.toml",), "none.toml"),
        (("demo", "--broker", "tcp://127.0.0.1:1"), "--broker: tcp://127.0.0.1:1 is no broker"),
        (("demo", "--broker", "mqtt"), "--broker: 'mqtt' is no link"),
    ],
)
def test_wrong_usage_is_status_2(args: tuple[str, ...], says: str) -> None:
    done = run("simulate", *args)
    assert done.exit_code == 2, done.output
    assert says in done.stderr


def test_every_mistake_of_a_scenario_at_once(scenario: Path) -> None:
    scenario.write_text(SCENARIO.replace('load = "shop"', 'load = "ship"').replace("eastron", "eastorn"), "utf-8")
    done = run("simulate", scenario)
    assert done.exit_code == 2
    assert f"{scenario}:" in done.stderr
