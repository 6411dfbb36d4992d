"""`init` and `check`: from nothing to a configuration that is good, and what is said when it is not."""

from pathlib import Path

import pytest

from tests.flow.commands import run
from tests.house.sources import ROOT
from tests.rooms.configurations import SMALL


def test_init_writes_files_that_check_finds_good(tmp_path: Path) -> None:
    place = tmp_path / "etc" / "chaobiao"
    done = run("init", place)
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(place / "collector.toml"), str(place / "meters.csv")]
    checked = run("check", "-c", place / "collector.toml")
    assert checked.exit_code == 0, checked.output
    assert f"{place / 'meters.csv'}: good: 3 meters" in checked.output
    assert "plan daily: 1 of 3 meters cannot give 1-0:1.8.0 (freeze): eastron_sdm630 1" in checked.output


@pytest.mark.parametrize("there", ["collector.toml", "meters.csv"])
def test_init_never_overwrites(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine", "utf-8")
    done = run("init", tmp_path)
    assert done.exit_code == 2
    assert done.stderr == f"{tmp_path / there}: there already; nothing was written\n"
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text("utf-8") == "mine"


def test_check_opens_no_database(tmp_path: Path) -> None:
    (tmp_path / "collector.toml").write_text(SMALL, "utf-8")
    done = run("check", "-c", tmp_path / "collector.toml")
    assert done.exit_code == 0
    assert f"{tmp_path / 'meters.csv'}: not there yet" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["collector.toml"]


def test_check_says_every_mistake_of_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "collector.toml"
    file.write_text(SMALL.replace("dlt645", "dlt654").replace("\nat =", "\natt ="), "utf-8")
    done = run("check", "-c", file)
    assert done.exit_code == 2
    assert done.stdout == ""
    headline, *lines = done.stderr.splitlines()
    assert headline == "3 mistakes:"  # the protocol, att, and therefore no timetable
    assert [line.partition(": ")[0] for line in lines] == [f"{file}:9", f"{file}:19", f"{file}:23"]


def test_check_says_every_mistake_of_the_registry(tmp_path: Path) -> None:
    (tmp_path / "collector.toml").write_text(SMALL, "utf-8")
    (tmp_path / "meters.csv").write_text("meter,profile,channel,address\nM1,x,y,1\n", "utf-8")
    done = run("check", "-c", tmp_path / "collector.toml")
    assert done.exit_code == 2
    assert "meters.csv:2: meter M1: profile:" in done.stderr
    assert "meters.csv:2: meter M1: channel:" in done.stderr


@pytest.mark.parametrize(
    "link",
    [
        '"listen://0.0.0.0:9001"\nidentity = "4712"',
        '"rfc2217://127.0.0.1:9001?baudrate=2400"',
        '"mqtt-tunnel://127.0.0.1/to?back=from"\nusername = "u"',
    ],
)
def test_check_knows_every_kind_of_link(tmp_path: Path, link: str) -> None:
    file = tmp_path / "collector.toml"
    file.write_text(SMALL.replace('"tcp://127.0.0.1:8021"', link), "utf-8")
    assert run("check", "-c", file).exit_code == 0


def test_check_finds_a_site_profile_that_contradicts_itself(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.toml").write_text('id = "mine"\n', "utf-8")
    file = tmp_path / "collector.toml"
    file.write_text('[site]\nprofiles_d = "own"\n' + SMALL.replace("format = 1\n", ""), "utf-8")
    done = run("check", "-c", file)
    assert done.exit_code == 2
    assert "mine.toml:1: protocol: Field required" in done.stderr


def test_check_without_a_configuration_is_wrong_usage() -> None:
    done = run("check")
    assert done.exit_code == 2
    assert "Missing option '-c' / '--config'" in done.stderr


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A configuration with a folder of profiles of its own; the one in it is a built-in one under another name."""
    profile = ROOT.joinpath("protocols", "profiles", "eastron_sdm120.toml").read_text("utf-8")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.toml").write_text(profile.replace('id = "eastron_sdm120"', 'id = "mine"'), "utf-8")
    file = tmp_path / "collector.toml"
    file.write_text('[site]\nprofiles_d = "own"\n' + SMALL.replace("format = 1\n", ""), "utf-8")
    return file


def test_check_proves_the_profiles_of_the_site(own: Path) -> None:
    done = run("check", "-c", own)
    assert done.exit_code == 0, done.output
    assert f"{own.parent / 'own' / 'mine.toml'}: good: 12 registers, 5 vectors proven" in done.stdout


def test_check_says_where_a_profile_does_not_read_its_own_frames(own: Path) -> None:
    mine = own.parent / "own" / "mine.toml"
    text = mine.read_text("utf-8").replace('value = "2887.07"', 'value = "2887.70"')
    mine.write_text(text, "utf-8")
    done = run("check", "-c", own)
    assert done.exit_code == 2
    line = 1 + text.splitlines().index('  { quantity = "1-0:15.8.0", value = "2887.70" },')
    says = "vector.3.readings: 1-0:15.8.0 (instant) is 2887.07, the vector says 2887.70"
    assert done.stderr == f"{mine}:{line - 1}: {says}\n"


def test_check_says_that_nothing_proves_a_profile(own: Path) -> None:
    mine = own.parent / "own" / "mine.toml"
    mine.write_text(mine.read_text("utf-8").partition("[[vector]]")[0], "utf-8")
    done = run("check", "-c", own)
    assert done.exit_code == 0, done.output
    assert "12 registers, no vector, so nothing proves it" in done.stdout
