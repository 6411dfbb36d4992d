"""Two plans, one quantity, and meters that stand there: for the tests of what is owed and when it is asked for."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from storage.records import Basis, Plan
from storage.registry import Installation, Meter, Point, Registered

SHANGHAI = ZoneInfo("Asia/Shanghai")
ENERGY = "1-0:1.8.0"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
QUARTER = Plan("quarter", (ENERGY,), every_s=900)
DAILY = Plan("daily", (ENERGY,), basis=Basis.FREEZE, at_minute=5)


def gives(profile: str, quantity: str, basis: Basis) -> bool:
    return quantity == ENERGY and (basis is Basis.INSTANT or profile == "freezing")


def standing(
    meter: str = "m1", *, profile: str = "freezing", start: datetime = LONG_AGO, channel: str = "c1"
) -> Registered:
    return Registered(
        Meter(meter, profile, channel, "1"), Point(f"p-{meter}", area="hill"), Installation(meter, f"p-{meter}", start)
    )


def shanghai(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=SHANGHAI).astimezone(UTC)  # type: ignore[arg-type, misc]
