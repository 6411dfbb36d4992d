"""When a settlement copy was made is reckoned from the meter's settlement days and clock, and refused where that is not plain."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import pytest

from protocols.dialect import Exchange, Wanted
from protocols.dialects import DIALECTS
from protocols.dlt645.settlements import clock, instants
from protocols.profile import builtin_profiles
from protocols.telegram import Item, Telegram

DLT645 = DIALECTS["dlt645"]
PROFILE = builtin_profiles()["dlt645_2007_1p"]
ADDRESS = "000000000161"
FIRST, UNUSED = bytes.fromhex("00 01"), b"\x99\x99"
"""The first of the month at 00:00, in the order of the wire; a day that is not used."""


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


NOON = moment("2026-03-14 12:00:00")


def test_copies_are_counted_back_from_the_clock() -> None:
    made = instants([FIRST, UNUSED, UNUSED], NOON, NOON)
    assert made[:3] == (moment("2026-03-01"), moment("2026-02-01"), moment("2026-01-01"))
    assert made[11] == moment("2025-04-01")


def test_three_settlements_a_month_are_three_copies_a_month() -> None:
    days = [FIRST, bytes.fromhex("00 21"), bytes.fromhex("12 11")]
    assert instants(days, NOON, NOON)[:4] == (
        moment("2026-03-11 12:00"),
        moment("2026-03-01"),
        moment("2026-02-21"),
        moment("2026-02-11 12:00"),
    )


@pytest.mark.parametrize(
    ("days", "before", "after", "why"),
    [
        ([FIRST, UNUSED, None], NOON, NOON, "no_time_stamp"),
        ([FIRST, UNUSED, UNUSED], None, NOON, "no_time_stamp"),
        ([FIRST, UNUSED, UNUSED], NOON, None, "no_time_stamp"),
        ([UNUSED, UNUSED, UNUSED], NOON, NOON, "ambiguous_settlement"),
        ([FIRST, FIRST, UNUSED], NOON, NOON, "ambiguous_settlement"),
        ([b"\x00\x31", UNUSED, UNUSED], NOON, NOON, "ambiguous_settlement"),
        ([b"\x24\x01", UNUSED, UNUSED], NOON, NOON, "ambiguous_settlement"),
        ([b"\x00\x0a", UNUSED, UNUSED], NOON, NOON, "ambiguous_settlement"),
        ([b"\x01", UNUSED, UNUSED], NOON, NOON, "ambiguous_settlement"),
        # a settlement while we read, and one so near that its copy may not be there
        ([FIRST, UNUSED, UNUSED], moment("2026-02-28 23:59:59"), moment("2026-03-01 00:00:02"), "freeze_moved"),
        ([FIRST, UNUSED, UNUSED], moment("2026-03-01 00:03"), moment("2026-03-01 00:03:05"), "freeze_moved"),
        # the date was read before midnight and the time after it, or the clock was set back
        ([FIRST, UNUSED, UNUSED], moment("2026-03-13 00:00:01"), moment("2026-03-14 00:00:03"), "freeze_moved"),
        ([FIRST, UNUSED, UNUSED], NOON, moment("2026-03-14 11:59"), "freeze_moved"),
    ],
)
def test_what_is_not_plain_has_no_time(
    days: list[bytes | None], before: datetime | None, after: datetime | None, why: str
) -> None:
    assert instants(days, before, after) == why


def test_a_clock_is_a_date_and_a_time() -> None:
    assert clock(bytes.fromhex("06 14 03 26"), bytes.fromhex("05 07 21")) == moment("2026-03-14 21:07:05")
    assert clock(bytes.fromhex("06 32 03 26"), bytes.fromhex("05 07 21")) is None
    assert clock(None, bytes.fromhex("05 07 21")) is None


ANSWERS = {
    "04000B01": FIRST,
    "04000B02": UNUSED,
    "04000B03": UNUSED,
    "04000101": bytes.fromhex("06 14 03 26"),
    "04000102": bytes.fromhex("05 07 21"),
    "0001FF01": bytes.fromhex("56 34 12 00") + bytes(16),
    "0001FF02": bytes.fromhex("99 33 12 00") + bytes(16),
}


def read(answers: Mapping[str, bytes]) -> tuple[Item, ...]:
    wanted = [Wanted("1-0:1.8.0", "settlement", back) for back in (1, 2)]
    requests = DLT645.requests(PROFILE, ADDRESS, wanted)
    exchanges = [
        Exchange(request, (Telegram(ADDRESS, 0x91, answers[request.target], b""),))
        for request in requests
        if request.target in answers
    ]
    return DLT645.items(PROFILE, exchanges)


def test_the_days_and_the_clock_are_asked_around_the_copies() -> None:
    wanted = [Wanted("1-0:1.8.0", "settlement", back) for back in (1, 2)]
    targets = [request.target for request in DLT645.requests(PROFILE, ADDRESS, wanted)]
    assert targets == [
        *("04000B01", "04000B02", "04000B03", "04000101", "04000102"),
        *("0001FF01", "0001FF02"),
        *("04000101", "04000102"),
    ]
    assert [(item.time, item.value) for item in read(ANSWERS)] == [
        (moment("2026-03-01"), Decimal("1234.56")),
        (moment("2026-02-01"), Decimal("1233.99")),
    ]


@pytest.mark.parametrize("lost", ["04000B02", "04000101", "04000102"])
def test_without_one_of_them_no_value_has_a_time(lost: str) -> None:
    found = read({target: data for target, data in ANSWERS.items() if target != lost})
    assert [(item.value, item.reason) for item in found] == [(None, "no_time_stamp")] * 2
