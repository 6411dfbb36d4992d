"""What time it is, is asked in collector/clock.py alone, so that a driven clock drives everything.

Deadlines and durations are another matter: the loop's and the monotonic clock may be read where bytes are moved.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.house.sources import ROOT, module_name, python_files

CLOCK = "collector.clock"
TIMERS_ALLOWED_IN = ("collector.clock", "collector.acquisition", "simulators")

CIVIL = {
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
    *(
        f"time.{name}"
        for name in ("time", "time_ns", "clock_gettime", "clock_gettime_ns", "localtime", "gmtime", "ctime", "asctime")
    ),
    "sqlalchemy.func.now",
    "sqlalchemy.func.current_timestamp",
}
TIMERS = {f"time.{name}{ns}" for name in ("monotonic", "perf_counter", "process_time") for ns in ("", "_ns")}


def _imports(tree: ast.AST) -> dict[str, str]:
    """What each imported local name stands for: `dt` → `datetime`, `now` → `datetime.datetime.now`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        above = _dotted(node.value, names)
        return f"{above}.{node.attr}" if above else ""
    return ""


def asks_the_time(source: str, module: str) -> Iterator[str]:
    """Each place where this module asks a clock that it may not ask; naming the function is enough."""
    tree = ast.parse(source)
    names = _imports(tree)
    may_time = any(module == room or module.startswith(f"{room}.") for room in TIMERS_ALLOWED_IN)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute | ast.Name):
            continue
        name = _dotted(node, names)
        loop_time = isinstance(node, ast.Attribute) and node.attr == "time" and "loop" in ast.unparse(node.value)
        if name in CIVIL and module != CLOCK:
            yield f"{node.lineno}: {name} (ask the clock)"
        elif (name in TIMERS or loop_time) and not may_time:
            yield f"{node.lineno}: {name or 'loop.time'} (only where bytes are moved)"


def test_now_is_asked_in_one_place() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{place}"
        for path in python_files()
        for place in asks_the_time(path.read_text("utf-8"), module_name(path))
    ]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime, UTC\nx = datetime.now(UTC)",
        "from datetime import datetime as DT\nfactory = DT.utcnow",
        "import datetime as dt\nx = dt.datetime.now()",
        "from datetime import date\nx = date.today()",
        "import time\nx = time.time()",
        "from time import time_ns as t\nx = t()",
        "from sqlalchemy import func\nx = func.now()",
        "import time\nx = time.monotonic()",
        "import asyncio\nx = asyncio.get_running_loop().time()",
    ],
)
def test_guard_is_red(source: str) -> None:
    assert list(asks_the_time(source, "collector.vee.rules"))


def test_guard_knows_who_may() -> None:
    civil = "from datetime import UTC, datetime\nx = datetime.now(UTC)"
    timer = "import asyncio\nx = asyncio.get_running_loop().time()"
    assert not list(asks_the_time(civil, "collector.clock"))
    assert list(asks_the_time(civil, "collector.acquisition.poll"))
    assert not list(asks_the_time(timer, "collector.acquisition.poll"))
    assert not list(asks_the_time("from collector import clock\nx = clock.now()", "collector.jobs.collect"))
