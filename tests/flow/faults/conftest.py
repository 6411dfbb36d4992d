"""At the end of a run of tests: each fault's row, what it came to, and the seed with which it can be had again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.flow.faults.street import SEED

Tell = Callable[[str, object], None]
TOLD = pytest.StashKey[list[str]]()


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """(row of the fault matrix, what came of it)."""
    told = request.config.stash.setdefault(TOLD, [])
    return lambda row, what: told.append(f"{row}  {what}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Nothing where no fault was tested."""
    told = config.stash.get(TOLD, [])
    if told:
        terminalreporter.section(f"faults (CHAOBIAO_SEED={SEED})")
        for line in sorted(told):
            terminalreporter.write_line(line)
