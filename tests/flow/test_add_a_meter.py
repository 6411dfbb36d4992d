"""docs/add-a-meter.md is so: its profiles hold, its meter answers as shown, its mistakes are told as the page tells them."""

from pathlib import Path

import pytest

from tests.flow.commands import run
from tests.house.pages import Fence, fences, page, sections
from tests.links.peers import pymodbustcp_server

PAGE = "docs/add-a-meter.md"
PLACE = Path("profiles.d")


def blocks(title: str) -> list[Fence]:
    """The fenced blocks of one part of the page."""
    return list(fences(sections(page(PAGE).text)[title]))


def profile(title: str) -> str:
    """All that one part of the page puts into its profile, in the order of a reader who types along."""
    return "\n\n".join("\n".join(one.lines) for one in blocks(title) if one.language == "toml")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with a folder for profiles; relative paths as on the page."""
    monkeypatch.chdir(tmp_path)
    PLACE.mkdir()
    text = '[site]\nprofiles_d = "profiles.d"\n[storage]\nurl = "sqlite:///x.db"\n[registry]\nfile = "meters.csv"\n'
    Path("collector.toml").write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("title", "good"),
    [
        ("A Modbus meter", "4 registers, 1 vector proven"),
        ("A DL/T 645 meter", "4 registers, 1 vector proven"),
        ("A meter that pushes JSON", "2 registers, 1 vector proven"),
    ],
)
def test_the_profiles_of_the_page_are_proven_by_check(site: Path, title: str, good: str) -> None:
    (PLACE / "mine.toml").write_text(profile(title), "utf-8")
    done = run("check", "-c", "collector.toml")
    assert done.exit_code == 0, done.output
    assert f"{site / PLACE / 'mine.toml'}: good: {good}" in done.stdout


@pytest.mark.parametrize(
    ("title", "right", "wrong", "says"),
    [
        ("A Modbus meter", 'scale = "0.01"', 'scale = "0.1"', "1-0:1.8.0 (instant) is 85672.00, the vector says 8567.20"),
        ("A DL/T 645 meter", "45 33 43 16", "45 33 44 16", "bad_checksum: the sum is 43, the frame says 44"),
        ("A meter that pushes JSON", '"data.wh"', '"data.kwh"', "1-0:1.8.0 (instant) gives nothing, the vector says 123.450"),
        ("A Modbus meter", '"1-0:32.7.0"', '"1-0:33.9.0"', "is a well-formed OBIS code but no quantity of the catalogue"),
        ("A Modbus meter", '"20480"', '"0x5000"', "'0x5000' is no wire address for uint64; write the 0-based number"),
    ],
)  # fmt: skip
def test_its_mistakes_are_told(site: Path, title: str, right: str, wrong: str, says: str) -> None:
    text = profile(title)
    assert right in text
    (PLACE / "mine.toml").write_text(text.replace(right, wrong), "utf-8")
    done = run("check", "-c", "collector.toml")
    assert done.exit_code == 2
    assert says in done.stderr
    told = "\n".join(line for one in blocks(title) if one.language == "text" for line in one.lines)
    assert says in told or title == "A meter that pushes JSON"


def test_the_meter_of_the_page_answers_as_it_shows(site: Path) -> None:
    """Bytes of the A43's manual, section 9.11.1, from a server that is not ours."""
    energies = [0, 0, 0x000D, 0x1290, 0, 0, 0x0003, 0x1209]
    Path("abb_a43.toml").write_text(profile("A Modbus meter"), "utf-8")
    holding = {0x5000: energies, 0x5B00: [0, 2301], 0x5B14: [5, 0x464E]}
    with pymodbustcp_server(holding=holding) as port:
        asked = (
            "--protocol",
            "modbus-tcp",
            "--address",
            "5",
            "--profile",
            "abb_a43.toml",
            "--timeout",
            "10s",
            "--frames",
        )
        done = run("probe", f"tcp://127.0.0.1:{port}", *asked)
    assert done.exit_code == 0, done.output
    shown = [line.split() for one in blocks("A Modbus meter") for line in one.lines if line.startswith("1-0:")]
    assert shown
    rows = [line.split() for line in done.stdout.splitlines()]
    for quantity, *words in shown:
        assert any(row[:1] == [quantity] and row[1:-2] == words[:-2] for row in rows), quantity
    exchanged = [line for one in blocks("A Modbus meter") for line in one.lines if line.startswith(("> ", "< "))]
    assert exchanged
    assert [line for line in exchanged if line not in done.stderr.splitlines()] == []
