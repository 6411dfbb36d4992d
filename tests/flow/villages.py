"""A village on disk for commands: a configuration, and a database with meters and readings of the last days."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from storage.engine import open_ledger
from storage.records import Basis, Batch, Missing, Owner, Plan, Reading, Slot, Source
from storage.registry import Installation, Meter, Point, Ratio, Registered
from storage.values import MILLION

IMPORT = "1-0:1.8.0"
CONFIGURATION = """\
format = 1
[storage]
url = "sqlite:///chaobiao.db"
[registry]
file = "meters.csv"
[[channel]]
name = "village-1"
link = "tcp://127.0.0.1:8021"
protocol = "dlt645"
[[plan]]
name = "hourly"
read = ["1-0:1.8.0"]
every = "1h"
[billing]
directory = "deliveries"
"""
PLAN = Plan("hourly", (IMPORT,), every_s=3600)


class Village:
    """Meters m1 and m2, a plan of four hours: `now` is the last whole hour, and the last slot that is owed."""

    def __init__(self, folder: Path, configuration: str = CONFIGURATION) -> None:
        self.folder = folder
        self.configuration = folder / "collector.toml"
        self.configuration.write_text(configuration, "utf-8")
        self.deliveries = folder / "deliveries"
        self.now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        asyncio.run(self._settle())

    async def _settle(self) -> None:
        ledger = await open_ledger(f"sqlite:///{self.folder / 'chaobiao.db'}", create=True)
        start = self.now - timedelta(days=30)
        rows = [
            Registered(
                Meter(
                    meter, "dlt645_2007_1p", "village-1", meter, wiring="1p", un_v=220 * MILLION, imax_a=60 * MILLION
                ),
                Point(f"P-{meter}", account=f"A-{meter}", area="north"),
                Installation(meter, f"P-{meter}", start, ct=Ratio(100, 5)),
            )
            for meter in ("m1", "m2")
        ]
        await ledger.import_registry(rows, digest="of this test", at=start)
        await ledger.keep_plans([PLAN], at=self.now - timedelta(hours=3))
        await ledger.keep_plans([], at=self.now + timedelta(seconds=1))
        await ledger.close()

    def commit(self, readings: Iterable[Reading] = (), missing: Iterable[Missing] = ()) -> None:
        """Store what was collected."""

        async def store() -> None:
            ledger = await open_ledger(f"sqlite:///{self.folder / 'chaobiao.db'}", create=False)
            await ledger.append(Batch(readings=tuple(readings), missing=tuple(missing)))
            await ledger.close()

        asyncio.run(store())

    def plan(self, plan: Plan, *, since: datetime, until: datetime) -> None:
        """Another plan that was valid for a while."""

        async def keep() -> None:
            ledger = await open_ledger(f"sqlite:///{self.folder / 'chaobiao.db'}", create=False)
            await ledger.keep_plans([plan], at=since)
            await ledger.keep_plans([], at=until)
            await ledger.close()

        asyncio.run(keep())

    def slot(self, hours_ago: int, meter: str = "m1") -> Slot:
        """A slot of the plan."""
        return Slot("hourly", meter, IMPORT, Basis.INSTANT, self.now - timedelta(hours=hours_ago))

    def reading(self, hours_ago: int, kwh: int, meter: str = "m1") -> Reading:
        """A register in its slot."""
        slot = self.slot(hours_ago, meter)
        return Reading(
            meter, IMPORT, slot.basis, slot.at, kwh * MILLION, 10_000, Source.POLL, slot.at, True, slot, self.day(slot)
        )

    def silent(self, hours_ago: int, meter: str = "m1") -> Missing:
        """A slot that nobody answered."""
        slot = self.slot(hours_ago, meter)
        return Missing(slot, self.day(slot), "no_answer", Owner.METER, "silent for 1 s", 3, since=slot.at)

    def day(self, slot: Slot) -> date:
        """The data day of a slot in Shanghai, which has no summer time."""
        return (slot.at + timedelta(hours=8)).date()
