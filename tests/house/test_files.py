"""Files stay small and are called by what is in them."""

from pathlib import Path

from tests.house.sources import ROOT, python_files

LINES = 400
NAMELESS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "stuff"}


def complaints(path: Path, lines: int) -> list[str]:
    """Too long, or named after nothing."""
    nameless = sorted(NAMELESS & {path.stem, *path.parent.parts})
    return [
        *([f"{path}: {lines} lines, more than {LINES}"] if lines > LINES else []),
        *(f"{path}: {name} says nothing of what is in it" for name in nameless),
    ]


def test_files_are_small_and_named() -> None:
    found = [
        complaint
        for path in python_files()
        for complaint in complaints(path.relative_to(ROOT), len(path.read_text("utf-8").splitlines()))
    ]
    assert not found


def test_guard_is_red() -> None:
    assert complaints(Path("collector/vee/rules.py"), 401)
    assert complaints(Path("collector/vee/utils.py"), 1)
    assert complaints(Path("collector/common/rules.py"), 1)
    assert not complaints(Path("collector/vee/rules.py"), 400)
