"""F83: a configuration that is broken, or half-written, when SIGHUP comes: nothing is taken, and the log says where it is wrong.

Through the very function that SIGHUP calls. (The signal itself: tests/flow/test_live_change.py.)
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import cast

import pytest

import collector.cli.opening
from collector.cli.run import _reload
from collector.daemon import Daemon
from collector.settings.loading import settings_in
from collector.settings.samples import sample
from collector.settings.schema import Settings
from protocols.profile import builtin_profiles
from tests.flow.faults.conftest import Tell

TEXT = "\n".join(
    line[2:] if re.match(r"# (\w+ = |\[)", line) else line for line in sample("collector.toml").splitlines()
)
"""Every key there is, those that are comments in the sample too."""
LINES = TEXT.splitlines()
KEYS = [number for number, line in enumerate(LINES) if re.match(r"\w+ = ", line)]
BARE = re.sub(r"(?m)[ ]*#.*\n", "\n", TEXT + "\n")
WRONG_KINDS = ("{ wrong = 1979-05-27 }", "[[{}]]", "12:00:00", "-1e400")
"""That no key takes."""
REFUSED = "the new configuration is not taken, the old one goes on: "


class Running:
    """What SIGHUP sees of a daemon: it goes on with what it was handed last."""

    def __init__(self) -> None:
        self.settings: Settings | None = None

    def change(self, settings: Settings, _profiles: object) -> None:
        self.settings = settings


class Place:
    """A folder with all that the sample names."""

    def __init__(self, folder: Path, log: pytest.LogCaptureFixture) -> None:
        self.folder, self.config, self.daemon, self._log = folder, folder / "collector.toml", Running(), log
        (folder / "profiles.d").mkdir()
        for name in ("broker.password", "clock.password"):
            (folder / name).write_text("12345678\n", "utf-8")

    def reload(self, content: str | bytes) -> list[str]:
        """The file is this now, and SIGHUP comes; what the log says, in lines."""
        self.config.write_bytes(content.encode() if isinstance(content, str) else content)
        self._log.clear()
        _reload(self.config, cast("Daemon", self.daemon))
        return "\n".join(record.getMessage() for record in self._log.records).splitlines()


@pytest.fixture
def place(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Place:
    profiles = builtin_profiles()
    monkeypatch.setattr(collector.cli.opening, "load_profiles", lambda _: profiles)  # the same each time
    caplog.set_level(logging.INFO, logger="collector")
    one = Place(tmp_path, caplog)
    assert one.reload(TEXT) == []
    assert one.daemon.settings is not None
    return one


def told(said: list[str], number: int, key: str) -> bool:
    """File, line and key are named."""
    return any(re.search(rf"collector\.toml:{number + 1}: [\w.\[\]-]*\b{key}\b", line) for line in said)


def with_line(number: int, line: str) -> str:
    return "\n".join([*LINES[:number], line, *LINES[number + 1 :]])


def test_every_key_misspelt_or_of_the_wrong_kind(place: Place, tell: Tell) -> None:
    before, wrong = place.daemon.settings, []
    for number in KEYS:
        key, value = LINES[number].split(" = ", 1)
        for line, name in (
            (f"{key}x = {value}", f"{key}x"),
            *((f"{key} = {kind}", key) for kind in WRONG_KINDS),
        ):
            said = place.reload(with_line(number, line))
            if place.daemon.settings is not before or REFUSED not in said[0] or not told(said, number, name):
                wrong.append((number + 1, line, said))
    assert wrong == []
    tell("F83", f"{len(KEYS)} keys, each misspelt and of the wrong kind: refused, with file, line and key")


def test_cut_off_at_any_byte(place: Place, tell: Tell) -> None:
    whole, taken = BARE.encode(), 0
    for cut in range(len(whole)):
        before = place.daemon.settings
        said = place.reload(whole[:cut])
        if place.daemon.settings is before:
            assert REFUSED in said[0], cut
            assert all("collector.toml" in line for line in said if REFUSED not in line or len(said) == 1), said
        else:  # a whole configuration, though a smaller one
            taken += 1
            assert said == [], cut
            assert place.daemon.settings == settings_in(whole[:cut].decode(), "collector.toml", place.folder), cut
    assert place.reload(whole) == []
    tell(
        "F83",
        f"cut off at {len(whole)} bytes: {len(whole) - taken} refused, {taken} are whole (smaller) configurations",
    )


def test_a_letter_cut_in_two_and_a_file_that_is_not_there(place: Place) -> None:
    before = place.daemon.settings
    letter = "# 抄".encode()
    assert "collector.toml" in "".join(place.reload(TEXT.encode() + b"\n" + letter[:-1]))
    place.config.unlink()
    _reload(place.config, cast("Daemon", place.daemon))
    assert place.daemon.settings is before


def test_the_guard_is_red() -> None:
    said = ["collector.toml:12: channel.1.link: no"]
    assert told(said, 11, "link")
    assert not told(said, 12, "link")
    assert not told(said, 11, "name")
