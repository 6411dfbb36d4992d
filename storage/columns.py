"""How our kinds of value lie in a database: all of them whole numbers, so that they compare, sort and travel exactly.

Codes of enumerations are for ever: a new member gets a new number, none is used again. Where the database sorts by a
code, the numbers are in the order of the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from sqlalchemy import BigInteger, Dialect, Integer, SmallInteger
from sqlalchemy.types import TypeDecorator

from storage.care import ClockHow, Occasion
from storage.orders import OrderKind, OrderState
from storage.records import Basis, Owner, Quality, Source

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(instant: datetime) -> int:
    """Of an aware datetime, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Aware, in UTC."""
    return _EPOCH + timedelta(microseconds=count)


class Instant(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970, UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else from_microseconds(value)


class Day(TypeDecorator[date]):
    """A civil day as its number in the calendar (1 is the first day of year 1)."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else value.toordinal()

    def process_result_value(self, value: int | None, dialect: Dialect) -> date | None:
        """From the database."""
        return None if value is None else date.fromordinal(value)


Name = TypeVar("Name", bound=StrEnum)


class Code(TypeDecorator[Name], Generic[Name]):
    """One of our enumerations as a small number."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, names: tuple[Name, ...]) -> None:
        super().__init__()
        self.names = names
        """Number n stands for the n-th, counted from 1."""

    def numbers(self) -> Mapping[Name, int]:
        """Name → number."""
        return {name: number for number, name in enumerate(self.names, 1)}

    def process_bind_param(self, value: Name | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else self.names.index(value) + 1

    def process_result_value(self, value: int | None, dialect: Dialect) -> Name | None:
        """From the database."""
        return None if value is None else self.names[value - 1]


BASIS: Code[Basis] = Code((Basis.CURVE, Basis.FREEZE, Basis.INSTANT, Basis.SETTLEMENT))
SOURCE: Code[Source] = Code(
    (
        Source.POLL,
        Source.BACKFILL,
        Source.TERMINAL,
        Source.PUSH,
        Source.MANUAL,
        Source.ESTIMATE,
        Source.EDIT,
    )
)
QUALITY: Code[Quality] = Code(
    (
        Quality.RAW,
        Quality.VERIFIED,
        Quality.ACCEPTED,
        Quality.SUSPECT,
        Quality.ESTIMATED,
        Quality.EDITED,
        Quality.MISSING,
    )
)
OWNER: Code[Owner] = Code(
    (Owner.OURS, Owner.UPLINK, Owner.TERMINAL, Owner.LINE, Owner.METER, Owner.REGISTRY, Owner.SUPPLY)
)
OCCASION: Code[Occasion] = Code((Occasion.PLAN, Occasion.DEMAND, Occasion.BEFORE, Occasion.AFTER))
CLOCK_HOW: Code[ClockHow] = Code((ClockHow.SET, ClockHow.BROADCAST))
ORDER_KIND: Code[OrderKind] = Code((OrderKind.READ, OrderKind.PROBE, OrderKind.SCAN, OrderKind.CLOCK))
ORDER_STATE: Code[OrderState] = Code(
    (
        OrderState.WAITING,
        OrderState.TAKEN,
        OrderState.DONE,
        OrderState.FAILED,
        OrderState.EXPIRED,
        OrderState.WITHDRAWN,
    )
)
