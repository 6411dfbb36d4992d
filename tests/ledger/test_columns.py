"""How values lie in the database. The numbers of names are for ever: this list may grow at its end and never otherwise."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.sqlite import dialect

from storage.columns import BASIS, OWNER, QUALITY, SOURCE, Code, Day, from_microseconds, to_microseconds
from storage.records import Basis, Owner, Quality, Source

FOR_EVER: list[tuple[Code[StrEnum], type[StrEnum], str]] = [
    (BASIS, Basis, "curve freeze instant settlement"),  # type: ignore[list-item]
    (SOURCE, Source, "poll backfill terminal push manual estimate edit"),  # type: ignore[list-item]
    (QUALITY, Quality, "raw verified accepted suspect estimated edited missing"),  # type: ignore[list-item]
    (OWNER, Owner, "ours uplink terminal line meter registry supply"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("code", "names", "order"), FOR_EVER)
def test_every_name_has_its_number(code: Code[StrEnum], names: type[StrEnum], order: str) -> None:
    assert [str(name) for name in code.names] == order.split()
    assert set(code.names) == set(names)
    for name, number in code.numbers().items():
        assert code.process_bind_param(name, dialect()) == number
        assert code.process_result_value(number, dialect()) is name


def test_basis_sorts_by_its_name() -> None:
    assert list(BASIS.names) == sorted(Basis)


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_are_exact(instant: datetime) -> None:
    count = to_microseconds(instant)
    assert from_microseconds(count) == instant
    assert from_microseconds(count).tzinfo is UTC
    if instant.year < 9999:
        assert to_microseconds(instant + timedelta(microseconds=1)) == count + 1


@given(st.dates())
def test_days_are_whole_numbers(day: date) -> None:
    number = Day().process_bind_param(day, dialect())
    assert Day().process_result_value(number, dialect()) == day
