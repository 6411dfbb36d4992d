"""Series and registry rows for tests of judging."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from protocols.profile import Profile
from storage.records import Basis, Series
from storage.registry import Installation, Meter, Point, Ratio, Registered
from storage.values import MILLION

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def village_profile(**more: Any) -> Profile:
    """A single-phase model of nobody's make."""
    return Profile.model_validate(
        {
            "id": "village_meter",
            "protocol": "dlt645",
            "maker": "nobody",
            "models": ["V1"],
            "phases": 1,
            "sources": ["made for this test"],
            "register": [{"id": "00010000", "quantity": "1-0:1.8.0", "type": "XXXXXX.XX", "billable": True}],
            **more,
        }
    )


def registered(
    *,
    un_v: int | None = None,
    imax_a: int | None = None,
    ct: tuple[int, int] = (1, 1),
    pt: tuple[int, int] = (1, 1),
    start_readings: Mapping[str, int] | None = None,
    start: datetime = START,
) -> Registered:
    """Meter m1 at point p1 of account a1."""
    return Registered(
        Meter("m1", "village_meter", "bus", "1", wiring="1p", un_v=un_v, imax_a=imax_a),
        Point("p1", account="a1"),
        Installation("m1", "p1", start, ct=Ratio(*ct), pt=Ratio(*pt), start_readings=start_readings or {}),
    )


HOME = registered(un_v=220 * MILLION, imax_a=60 * MILLION)


def hourly(
    values: list[int],
    *,
    judge_from: int = 0,
    there: Registered = HOME,
    quantity: str = "1-0:1.8.0",
    first: datetime = START,
    conflicted: tuple[int, ...] = (),
    revisions: tuple[int, ...] | None = None,
) -> Series:
    """Values in Wh, an hour apart."""
    return Series(
        registered=there,
        quantity=quantity,
        basis=Basis.CURVE,
        times=tuple(first + HOUR * n for n in range(len(values))),
        values=tuple(value * 1_000 for value in values),
        resolutions=(1_000,) * len(values),
        conflicted=tuple(n in conflicted for n in range(len(values))),
        revisions=revisions or (0,) * len(values),
        judge_from=judge_from,
    )
