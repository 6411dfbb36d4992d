"""`report events` and `report status`: what meters wrote down, for people and for scripts."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage.care import MeterEvent, StatusWords
from storage.engine import open_ledger
from storage.records import Batch
from tests.flow.commands import run
from tests.flow.stocked import place

START = datetime(2026, 3, 14, 1, 26, 53, tzinfo=UTC)
DAYS = ("--from", "2026-03-14", "--to", "2026-03-14")
KEYS = ["meter", "point", "kind", "phase", "start", "end", "lasted_s", "seen_at"]
EVENTS = (
    MeterEvent("M1", "power_down", "", START, START + timedelta(minutes=3), START + timedelta(hours=1)),
    MeterEvent("M1", "phase_loss", "B", START + timedelta(hours=1), None, START + timedelta(hours=2)),
    MeterEvent("M2", "cover_opened", "", START + timedelta(days=1), None, START + timedelta(days=2)),
)


def site(folder: Path, *events: MeterEvent, statuses: tuple[StatusWords, ...] = ()) -> Path:
    config = place(folder)
    assert run("meters", "import", "-c", config, folder / "meters.csv").exit_code == 0

    async def store() -> None:
        ledger = await open_ledger(f"sqlite:///{folder / 'chaobiao.db'}", create=False)
        await ledger.append(Batch(events=events, statuses=statuses))
        await ledger.close()

    asyncio.run(store())
    return config


def test_events_of_these_days(tmp_path: Path) -> None:
    config = site(tmp_path, *EVENTS)
    done = run("report", "events", "-c", config, *DAYS, "--json")
    assert done.exit_code == 0
    one, two = map(json.loads, done.stdout.splitlines())
    assert list(one) == KEYS
    assert one == {
        "meter": "M1", "point": "P1", "kind": "power_down", "phase": None, "start": "2026-03-14T01:26:53Z",
        "end": "2026-03-14T01:29:53Z", "lasted_s": 180, "seen_at": "2026-03-14T02:26:53Z",
    }  # fmt: skip
    assert (two["kind"], two["phase"], two["end"], two["lasted_s"]) == ("phase_loss", "B", None, None)


def test_events_are_chosen(tmp_path: Path) -> None:
    config = site(tmp_path, *EVENTS)
    later = ("--from", "2026-03-14", "--to", "2026-03-16", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(run("report", "events", "-c", config, *later, "--meter", "M2").stdout)))
    assert [row["kind"] for row in rows] == ["cover_opened"]
    only = run("report", "events", "-c", config, *DAYS, "--kind", "phase_loss").stdout
    assert "phase_loss" in only
    assert "power_down" not in only
    assert run("report", "events", "-c", config, "--kind", "earthquake").exit_code == 2


def test_events_for_people(tmp_path: Path) -> None:
    config = site(tmp_path, *EVENTS)
    table = run("report", "events", "-c", config, *DAYS).stdout
    assert "2026-03-14 09:26:53" in table, "in the utility's zone"
    assert "掉电" in run("report", "events", "-c", config, *DAYS, language="zh").stdout
    empty = run("report", "events", "-c", config, "--from", "2026-03-01", "--to", "2026-03-01").stdout
    assert "no meter told of anything" in empty


def test_status_words(tmp_path: Path) -> None:
    words = StatusWords("M1", START, (0, 0, 0x0050, 0, 0, 0, 0))
    config = site(tmp_path, statuses=(words,))
    (shape,) = map(json.loads, run("report", "status", "-c", config, "--json").stdout.splitlines())
    assert shape == {
        "meter": "M1", "point": "P1", "read_at": "2026-03-14T01:26:53Z", "words": "0000 0000 0050 0000 0000 0000 0000",
        "says": "relay open; relay commanded open",
    }  # fmt: skip
    assert "relay open" in run("report", "status", "-c", config).stdout


def test_no_status_word_was_read(tmp_path: Path) -> None:
    assert 'read = ["status"]' in run("report", "status", "-c", site(tmp_path)).stdout
