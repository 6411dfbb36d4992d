"""At the end of a run of tests: each fault's row, what it came to, and the seed with which it can be had again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.flow.faults.street import SEED

Tell = Callable[[str, object], None]
TOLD = "fault"
"""What a test tells goes with its report, so that it comes home from whichever process ran it."""


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """(row of the fault matrix, what came of it)."""
    return lambda row, what: request.node.user_properties.append((TOLD, f"{row}  {what}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Nothing where no fault was tested."""
    told = {
        str(line)
        for report in terminalreporter.getreports("passed")
        for name, line in getattr(report, "user_properties", ())
        if name == TOLD
    }
    if told:
        terminalreporter.section(f"faults (CHAOBIAO_SEED={SEED})")
        for line in sorted(told):
            terminalreporter.write_line(line)
