"""A scenario is checked before anything is opened, and every mistake is told at once, with its line."""

from pathlib import Path

import pytest

from simulators.errors import ScenarioError
from simulators.members import build_members
from simulators.scenario import builtin_scenarios, load_scenario
from tests.fleet.scenes import HEAD, PROFILES

GOOD = """\
[[line]]
name = "street"
protocol = "modbus-tcp"
[[meter]]
meter = "flat-{n}"
line = "street"
profile = "eastron_sdm120"
address = "08"
count = 3
account = "H{n}"
[[fault]]
meter = "flat-02"
kind = "silent"
from = "1h30m"
"""


def mistakes(folder: Path, text: str) -> list[str]:
    path = folder / "scene.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"scene\.toml") as caught:
        load_scenario(path, PROFILES)
    return [line.partition("scene.toml:")[2] for line in str(caught.value).splitlines()]


def test_count_numbers_names_and_counts_addresses(tmp_path: Path) -> None:
    path = tmp_path / "scene.toml"
    path.write_text(HEAD + GOOD, encoding="utf-8")
    scenario = load_scenario(path, PROFILES)
    members = build_members(scenario, PROFILES, scenario.start)
    assert [(one.name, one.entry.address, one.entry.account) for one in members] == [
        ("flat-01", "08", "H01"),
        ("flat-02", "09", "H02"),
        ("flat-03", "10", "H03"),
    ]
    assert len({one.serial for one in members}) == 3
    assert [len(one.meter.faults) for one in members] == [0, 1, 0]


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ('name = "street"', 'name = "street"\nspeed = 9600', "6: line.0.speed: Extra inputs"),
        ('"modbus-tcp"', '"modbus"', "6: line.0.protocol: "),
        ('"eastron_sdm120"', '"easton"', "10: meter.0.profile: there is no profile 'easton'; there are "),
        ('line = "street"', 'line = "road"', "9: meter.0.line: there is no line 'road'"),
        ("count = 3", "count = 0", "12: meter.0.count: "),
        ("flat-{n}", "flat", "8: meter.0.meter: with a count above 1, {n} stands for the number"),
        ("count = 3", "count = 241", "11: meter.0.address: '08' is no Modbus unit"),
        ("count = 3", 'count = 3\nload = "castle"', "13: meter.0.load: 'castle' is no load; there are household"),
        ("count = 3", "count = 3\nregister = 1.5", "13: meter.0.register: write exact decimals as text"),
        ('"silent"', '"lazy"', "16: fault.0.kind: "),
        ('"silent"', '"bad_checksum"', "16: fault.0.kind: modbus-tcp has no checksum"),
        ('"silent"', '"wrong_value"', "16: fault.0.kind: a wrong value says by how many `kwh`"),
        ('"silent"', '"decreased"', "16: fault.0.kind: a register that falls says how far `back`"),
        ('"silent"', '"stopped"\nshare = 10', "17: fault.0.share: stopped is a fault of the register"),
        ('"1h30m"', '"soon"', '17: fault.0.from: write a duration as "400ms"'),
        ('"1h30m"', '"2h"\nto = "1h"', "18: fault.0.to: it ends before it begins"),
        ('meter = "flat-02"', 'meter = "flat-9"', "15: fault.0.meter: there is no meter 'flat-9'"),
    ],
)
def test_each_mistake_is_named_with_its_line(tmp_path: Path, was: str, now: str, said: str) -> None:
    assert was in GOOD
    lines = mistakes(tmp_path, GOOD.replace(was, now, 1))
    assert len(lines) == 1, lines
    assert lines[0].startswith(said), lines


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('"1h30m"', '"2h"\nto = "1h"') + '[[fault]]\nmeter = "nobody"\nkind = "silent"\n'
    assert len(mistakes(tmp_path, text)) == 2
    doubled = GOOD + GOOD.replace("[[line]]", '[[line]]\nreply = "20ms"')
    assert any("line 'street' is there twice" in line for line in mistakes(tmp_path, doubled))
    assert any("meter 'flat-01' is there twice" in line for line in mistakes(tmp_path, doubled))
    assert any("address 08 is there twice on street" in line for line in mistakes(tmp_path, doubled))
    assert mistakes(tmp_path, "") == ["1: meter: a fleet has at least one [[meter]]"]


def test_a_zone_and_a_format_that_nobody_knows(tmp_path: Path) -> None:
    assert mistakes(tmp_path, 'zone = "Asia/Lhasa"\n' + GOOD) == ["4: zone: 'Asia/Lhasa' is no time zone"]
    path = tmp_path / "scene.toml"
    path.write_text(HEAD.replace("format = 1", "format = 2") + GOOD, encoding="utf-8")
    with pytest.raises(ScenarioError, match="this file says 2; this version of chaobiao reads format 1"):
        load_scenario(path, PROFILES)


def test_a_scenario_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"No such file or directory; scenarios that come along: .*one-of-each"):
        load_scenario(tmp_path / "none.toml", PROFILES)


@pytest.mark.parametrize("name", builtin_scenarios())
def test_the_scenarios_that_come_along_are_good(name: str) -> None:
    assert load_scenario(name, PROFILES).title_zh
