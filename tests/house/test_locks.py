"""Locks: every package one exact version with hashes, nothing about where it comes from."""

import re

import pytest

from tests.house.sources import ROOT

LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-dev.lock", *sorted((ROOT / "tests" / "peers").glob("*.lock"))]


def complaints(lock: str) -> list[str]:
    """Entries that are not `name==version` with at least one sha256, and options or addresses."""
    entries = [
        entry for entry in re.sub(r"\\\n\s*", " ", lock).splitlines() if entry.strip() and not entry.startswith("#")
    ]
    good = re.compile(r"[a-z0-9.-]+==[^\s;]+( ; [^\\]+?)?( +--hash=sha256:[0-9a-f]{64})+")
    return [entry[:80] for entry in entries if not good.fullmatch(entry) or "://" in entry]


def pins(lock: str) -> dict[str, str]:
    """Name → version."""
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_entry_has_hashes(lock: object) -> None:
    text = ROOT.joinpath(str(lock)).read_text("utf-8")
    assert pins(text)
    assert not complaints(text)


def test_what_is_tested_is_what_is_shipped() -> None:
    shipped, tested = (pins(path.read_text("utf-8")) for path in LOCKS[:2])
    assert shipped.items() <= tested.items()


@pytest.mark.parametrize(
    "lock",
    ["click==8.3.0\n", "click>=8 \\\n    --hash=sha256:" + "0" * 64, "--extra-option x\n", "x @ https://host/x.whl\n"],
)
def test_guard_is_red(lock: str) -> None:
    assert complaints(lock)
