"""The installed service never imports simulators, nor what only they and `probe` need (reliability.md S29)."""

from __future__ import annotations

import subprocess
import sys

import pytest

SERVICE = ("collector.cli.main", "collector.cli.run", "collector.cli.read", "collector.daemon", "collector.cli.report")
APART = ("simulators", "pymodbus", "rich.live")


def imported_by(*modules: str) -> set[str]:
    """What is loaded in a fresh interpreter after these imports, by first or dotted name."""
    code = f"import sys\nfor name in {modules!r}: __import__(name)\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", SERVICE)
def test_the_service_stands_without_simulators(module: str) -> None:
    loaded = imported_by(module)
    assert not [name for name in APART if name in loaded]


def test_the_guard_is_red_for_the_demo() -> None:
    assert {"simulators", "pymodbus"} <= imported_by("collector.demo")
