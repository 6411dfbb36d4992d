"""A little utility for tests of the jobs: one ledger, readings that are appended, and a toy billing that reads the files."""

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from storage.ledger.port import Ledger
from storage.records import Basis, Batch, Reading, Slot, Source
from storage.registry import Installation, Meter, Point, Ratio, Registered
from storage.values import MILLION, to_millionths

MIDNIGHT = datetime(2026, 3, 14, 16, tzinfo=UTC)
NOW = MIDNIGHT + timedelta(days=30)


def home(meter: str = "m1", *, group: str = "", ct: int = 1) -> Registered:
    """A home whose meter stands since long ago."""
    return Registered(
        Meter(meter, "village_meter", "bus", meter, wiring="1p", un_v=220 * MILLION, imax_a=60 * MILLION),
        Point(f"point of {meter}", account=f"account of {meter}", area="north", billing_group=group),
        Installation(meter, f"point of {meter}", MIDNIGHT - timedelta(days=400), ct=Ratio(ct, 1)),
    )


async def settle(ledger: Ledger, *rows: Registered) -> None:
    """Import the registry."""
    await ledger.import_registry(rows or (home(),), digest="of this test", at=MIDNIGHT - timedelta(days=400))


def freeze(days: int, kwh: int | str, *, meter: str = "m1", billable: bool = True, resolution: int = 10_000) -> Reading:
    """The register of a midnight."""
    time = MIDNIGHT + timedelta(days=days)
    value = to_millionths(Decimal(kwh))
    return Reading(meter, "1-0:1.8.0", Basis.FREEZE, time, value, resolution, Source.POLL, time, billable=billable)


def running(after: timedelta, kwh: int, *, meter: str = "m1", slot: Slot | None = None, day: Any = None) -> Reading:
    """The register as it runs."""
    time = MIDNIGHT + after
    return Reading(
        meter,
        "1-0:1.8.0",
        Basis.INSTANT,
        time,
        kwh * MILLION,
        10_000,
        Source.POLL,
        time,
        billable=True,
        slot=slot,
        data_day=day,
    )


async def read(ledger: Ledger, *readings: Reading) -> None:
    """Commit readings."""
    await ledger.append(Batch(readings=readings))


class ToyBilling:
    """Loads deliveries as a careful billing system does: in order, nothing left out, every checksum checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values: dict[tuple[str, str, str, str], str] = {}
        """(meter, quantity, basis, time) → value."""
        self.rows: list[dict[str, Any]] = []
        self.deliveries = 0
        self._by_seq: dict[int, dict[str, Any]] = {}
        self._previous = "0" * 64

    def load(self) -> "ToyBilling":
        """All deliveries that are there and not yet loaded; fails at anything that is not as promised."""
        whole_or_not_there(self.folder)
        manifests = sorted(path.name for path in self.folder.iterdir() if path.name.endswith(".manifest.json"))
        numbered = [f"batch-{number:08d}.manifest.json" for number in range(1, len(manifests) + 1)]
        assert manifests == numbered, "a delivery is missing"
        for number in range(self.deliveries + 1, len(manifests) + 1):
            self._load(number)
        return self

    def _load(self, number: int) -> None:
        manifest_bytes = (self.folder / f"batch-{number:08d}.manifest.json").read_bytes()
        manifest = json.loads(manifest_bytes)
        data = (self.folder / manifest["data_file"]).read_bytes()
        assert manifest["batch_seq"] == number, "a number is wrong"
        assert manifest["prev_sha256"] == self._previous, "the chain is broken"
        assert manifest["sha256"] == hashlib.sha256(data).hexdigest(), "the data is not what the manifest says"
        rows = [json.loads(line) for line in data.splitlines()]
        assert [row["seq"] for row in rows] == list(range(manifest["from_seq"], manifest["to_seq"] + 1)), (
            "rows are missing"
        )
        assert manifest["from_seq"] == len(self.rows) + 1, "there is a gap between deliveries"
        assert manifest["rows"] == len(rows), "rows are miscounted"
        for row in rows:
            self._book(row)
        self._previous = hashlib.sha256(manifest_bytes).hexdigest()
        self.deliveries = number

    def _book(self, row: dict[str, Any]) -> None:
        key = row["meter"], row["quantity"], row["basis"], row["time"]
        if row["type"] == "CORRECTION":
            assert self.values[key] == row["old_value"]
            assert self._by_seq[row["replaces"]]["value"] == row["old_value"]
        else:
            assert key not in self.values, "a reading was handed over twice"
        assert row["quality"] in ("verified", "accepted", "estimated", "edited")
        self.values[key] = row["value"]
        self.rows.append(row)
        self._by_seq[row["seq"]] = row


def whole_or_not_there(folder: Path) -> None:
    """Billing may look at any time: no manifest without its data, at most one delivery unfinished, and no other file."""
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    data = {name for name in names if re.fullmatch(r"batch-\d{8}\.jsonl", name)}
    manifests = {name for name in names if re.fullmatch(r"batch-\d{8}\.manifest\.json", name)}
    assert names == data | manifests, "a file that is no delivery"
    for name in manifests:
        told = json.loads((folder / name).read_bytes())
        assert told["data_file"] in data, "a manifest without its data"
        content = (folder / told["data_file"]).read_bytes()
        assert told["sha256"] == hashlib.sha256(content).hexdigest(), "the data is not what the manifest says"
    assert len(data) - len(manifests) in (0, 1), "more than one delivery is unfinished"


def files(folder: Path) -> dict[str, bytes]:
    """All that is there."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def times(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Of rows that billing has."""
    return [row["time"] for row in rows]
