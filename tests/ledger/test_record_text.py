"""Records cross from process to process as text, and nothing of them changes on the way."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.telegram import Item
from storage.record_text import from_json, to_json
from storage.records import Attempt, Basis, Batch, Missing, Owner, Reading, Slot, Source
from tests.ledger.ledgers import missing, reading, slot

INSTANTS = st.datetimes(timezones=st.just(UTC))
SLOTS = st.builds(Slot, st.text(), st.text(), st.text(), st.sampled_from(Basis), INSTANTS)
READINGS = st.builds(
    Reading,
    *(st.text(), st.text(), st.sampled_from(Basis), INSTANTS, st.integers(), st.integers(), st.sampled_from(Source)),
    *(INSTANTS, st.booleans(), st.none() | SLOTS, st.none() | st.dates()),
)
MISSING = st.builds(
    Missing,
    *(SLOTS, st.dates(), st.text(), st.sampled_from(Owner), st.text(), st.integers(), st.none() | INSTANTS, st.none()),
)
ATTEMPTS = st.builds(
    Attempt,
    *(st.text(), st.text(), st.text(), INSTANTS, st.integers(), st.text(), st.none() | st.sampled_from(Owner)),
    *(st.text(), st.binary(), st.binary(), st.integers()),
)


@given(st.lists(READINGS), st.lists(MISSING), st.lists(ATTEMPTS))
def test_a_batch_comes_back_as_it_was(readings: list[Reading], gone: list[Missing], tries: list[Attempt]) -> None:
    batch = Batch(attempts=tuple(tries), readings=tuple(readings), missing=tuple(gone))
    assert from_json(Batch, to_json(batch)) == batch


@given(st.none() | st.text() | st.decimals(allow_nan=False))
def test_a_text_is_no_number(value: Decimal | str | None) -> None:
    item = Item("1", b"\x00\xff", value, time=datetime(2026, 3, 14, 12, 30), step=Decimal("0.001"))  # noqa: DTZ001 - a meter's own
    back = from_json(Item, to_json(item))
    assert back == item
    assert type(back.value) is type(value)


def test_it_is_one_line_of_its_own_words() -> None:
    assert to_json(slot(1)).startswith('{"plan":"hourly","meter":"m1","quantity":"1-0:1.8.0","basis":"instant"')
    assert "\n" not in to_json(Batch(readings=(reading(1, 5),), missing=(missing(slot(1), detail="a\nb"),)))


@dataclass(frozen=True)
class _Two:
    day: date
    number: int


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "[]", "7", "null", '{"day": "2026-13-01", "number": 1}', '{"day": "2026-03-14", "n": 1}']
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        from_json(_Two, text)


@dataclass(frozen=True)
class Span:
    """A record with a span of time."""

    long: timedelta
    maybe: timedelta | None


@given(st.timedeltas(), st.none() | st.timedeltas())
def test_a_span_comes_back_to_the_microsecond(long: timedelta, maybe: timedelta | None) -> None:
    span = Span(long, maybe)
    assert from_json(Span, to_json(span)) == span
