"""A place with a configuration, three meters and a ledger that holds what a test puts into it."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from storage.engine import open_ledger
from storage.records import Basis, Batch, Reading, Source
from tests.flow.commands import run

CONFIGURATION = """\
[storage]
url = "sqlite:///chaobiao.db"
[registry]
file = "meters.csv"
[[channel]]
name = "village-1"
link = "tcp://127.0.0.1:1"
protocol = "dlt645"
[[plan]]
name = "daily"
read = ["1-0:1.8.0"]
basis = "freeze"
at = "00:05"
[billing]
directory = "deliveries"
"""
METERS = """\
point,account,area,meter,profile,channel,address,un_v,ct_ratio,installed,start_readings
P1,0001,台区7,M1,dlt645_2007_1p,village-1,000000000161,220,,2026-03-01,1-0:1.8.0=1000
,,,M2,dlt645_2007_1p,village-1,000000000162,,100/5,,
"""
MIDNIGHT = datetime(2026, 3, 14, 16, tzinfo=UTC)
"""00:00 of 15 March in Shanghai: the freeze that closes data day 14."""


def place(folder: Path, meters: str = METERS) -> Path:
    """Configuration and registry in a folder; returns the configuration's path."""
    (folder / "meters.csv").write_text(meters, "utf-8")
    file = folder / "collector.toml"
    file.write_text(CONFIGURATION, "utf-8")
    return file


def freeze(meter: str, value: int, *, at: datetime = MIDNIGHT, resolution: int = 10_000) -> Reading:
    """Import energy as frozen, in millionths of a kWh."""
    received = datetime(2026, 3, 14, 16, 5, 1, tzinfo=UTC)
    return Reading(meter, "1-0:1.8.0", Basis.FREEZE, at, value, resolution, Source.POLL, received, billable=True)


def stock(config: Path, batches: Iterable[Batch]) -> None:
    """Import the registry and append these."""
    imported = run("meters", "import", "-c", config, config.with_name("meters.csv"))
    assert imported.exit_code == 0, imported.output

    async def append() -> None:
        ledger = await open_ledger(f"sqlite:///{config.with_name('chaobiao.db')}", create=False)
        for batch in batches:
            await ledger.append(batch)
        await ledger.close()

    asyncio.run(append())
