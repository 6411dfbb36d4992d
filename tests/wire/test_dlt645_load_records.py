"""Load records (06 cc 00 01), byte by byte as the sources in `load_records` have them: stamps, blocks, sums, and what is none."""

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dialect import Exchange, Wanted
from protocols.dialects import DIALECTS
from protocols.dlt645 import pictures
from protocols.dlt645.frame import encode
from protocols.dlt645.load_records import CLASSES, QUANTITIES, question, records
from protocols.profile import builtin_profiles
from protocols.telegram import Item, Telegram
from tests.wire.slices import events

DLT645 = DIALECTS["dlt645"]
PROFILES = builtin_profiles()
ONE = PROFILES["dlt645_2007_1p"]
ADDRESS = "000000000161"
SINCE = datetime(2026, 3, 14, 23, 45)  # noqa: DTZ001 - a meter's own stamp
ENERGIES = "56 34 12 00  00 00 00 00  FF FF FF FF  FF FF FF FF"
"""1234.56 kWh drawn, none fed in, and no reactive energy in this meter."""


def record(stamp: str, number: int, block: str) -> bytes:
    """As the firmware builds it: AA before and behind for the classes that are not there. `stamp` in the order of the wire."""
    body = bytes.fromhex(stamp) + b"\xaa" * (number - 1) + bytes.fromhex(block) + b"\xaa" * (7 - number)
    data = b"\xa0\xa0" + bytes([len(body)]) + body
    return data + bytes([sum(data) % 256, 0xE5])


FIRST = record("45 23 14 03 26", 4, ENERGIES)
SECOND = record("00 00 15 03 26", 4, ENERGIES.replace("56", "99"))


def answered(payload: bytes, *wanted: Wanted) -> tuple[Item, ...]:
    """What the single-phase profile makes of an answer to one question."""
    (request,) = DLT645.requests(ONE, ADDRESS, wanted or [Wanted("1-0:1.8.0", "curve", since=SINCE, count=2)])
    telegram = Telegram(ADDRESS, 0x91, payload, b"")
    return DLT645.items(ONE, [Exchange(request, (telegram,))])


def test_the_question_says_how_many_and_from_when() -> None:
    wanted = [Wanted(quantity, "curve", since=SINCE, count=2) for quantity in ("1-0:1.8.0", "1-0:2.8.0")]
    (request,) = DLT645.requests(ONE, ADDRESS, wanted)
    session = DLT645.session()
    # 11 with L = 0A: identifier, N, mm hh DD MM YY, each + 33
    assert session.send(request).hex(" ").upper() == (
        "FE FE FE FE 68 61 01 00 00 00 00 68 11 0A 34 33 37 39 35 78 56 47 36 59 FD 16"
    )
    assert question(2, SINCE) == bytes.fromhex("02 45 23 14 03 26")


def test_each_record_has_its_own_stamp_whatever_was_asked() -> None:
    assert [(item.time, item.value) for item in answered(FIRST + SECOND)] == [
        (SINCE, Decimal("1234.56")),
        (datetime(2026, 3, 15), Decimal("1234.99")),  # noqa: DTZ001 - a meter's own stamp
    ]


def test_records_that_come_one_a_frame_are_one_answer() -> None:
    """The meter of the firmware puts one record into a frame and the next into the follow-up (12)."""
    (request,) = DLT645.requests(ONE, ADDRESS, [Wanted("1-0:1.8.0", "curve", since=SINCE, count=2)])
    session = DLT645.session()
    identifier = bytes.fromhex("01 00 04 06")
    telegrams: list[Telegram] = []
    asked = request
    for control, data in ((0xB1, FIRST), (0x92, SECOND + b"\x01")):
        session.send(asked)
        session.receive(encode(ADDRESS, control, identifier + data))
        telegrams += [event for event in events(session) if isinstance(event, Telegram)]
        follow = DLT645.follow_up(request, telegrams)
        asked = follow or request
    assert len(telegrams) == 2
    assert [item.value for item in DLT645.items(ONE, [Exchange(request, tuple(telegrams))])] == [
        Decimal("1234.56"),
        Decimal("1234.99"),
    ]


def test_a_value_that_the_meter_has_not_is_no_number() -> None:
    block = "31 22  FF FF FF FF  25 01 00  FF FF FF FF FF FF  03 50"
    power = answered(record("45 23 14 03 26", 1, block), Wanted("1-0:32.7.0", "curve", since=SINCE))
    assert [(item.value, item.reason) for item in power] == [(Decimal("223.1"), "")]
    none = answered(record("45 23 14 03 26", 1, "FF FF" + block[5:]), Wanted("1-0:32.7.0", "curve", since=SINCE))
    assert [(item.value, item.reason, item.time) for item in none] == [(None, "invalid_value", SINCE)]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (FIRST[:-2] + bytes([FIRST[-2] ^ 1]) + FIRST[-1:], "another sum"),
        (FIRST[:-1] + b"\xe6", "another end"),
        (b"\xa0\xa1" + FIRST[2:], "another beginning"),
        (FIRST[:2] + bytes([FIRST[2] + 1]) + FIRST[3:], "another length"),
        (FIRST[:-3], "cut off"),
        (record("45 23 14 03 26", 4, ENERGIES[:-3]), "a block that is a byte short"),
        (record("45 23 14 03 26", 4, ENERGIES + " 00"), "a block that is a byte long"),
        (b"\x00" * 40, "no record at all"),
    ],
)
def test_what_is_no_record_gives_no_number(payload: bytes, why: str) -> None:
    assert [(item.value, item.reason) for item in answered(payload)] == [(None, "wrong_length")], why


def test_good_records_before_a_broken_one_are_good() -> None:
    assert [item.reason for item in answered(FIRST + SECOND[:-1])] == ["", "wrong_length"]


def test_a_stamp_that_is_no_instant_gives_no_value() -> None:
    assert [item.reason for item in answered(record("60 23 14 03 26", 4, ENERGIES))] == ["impossible_time"]


def test_no_record_is_no_item() -> None:
    assert answered(b"") == ()


def test_decode_shows_every_value_of_a_record() -> None:
    frame = encode(ADDRESS, 0x91, bytes.fromhex("01 00 04 06") + FIRST)
    (found,) = DLT645.decode(frame)
    assert [(item.quantity, item.value, item.unit, item.reason) for item in found.items] == [
        ("1-0:1.8.0", Decimal("1234.56"), "kWh", ""),
        ("1-0:2.8.0", Decimal("0.00"), "kWh", ""),
        ("1-0:3.8.0", None, "kvarh", "invalid_value"),
        ("1-0:4.8.0", None, "kvarh", "invalid_value"),
    ]
    assert {item.time for item in found.items} == {SINCE}


def test_registers_of_the_profiles_are_as_in_the_classes() -> None:
    seen = 0
    for profile in PROFILES.values():
        for register in profile.registers if profile.protocol == "dlt645" else ():
            if register.basis != "curve":
                continue
            number = int(register.id[2:4])
            assert CLASSES[number][register.position] == register.type
            decimals = pictures.parse(register.type).parts[0].decimals
            assert register.resolution == Decimal(1).scaleb(-decimals)
            kind = 8 if number in (4, 5) else 7
            assert register.quantity == f"1-0:{QUANTITIES[number][register.position]}.{kind}.0"
            assert (register.every_s, register.depth) == (900, 3840)
            seen += 1
    assert seen > 15


@given(st.binary(max_size=80), st.integers(0, len(FIRST)))
def test_any_bytes_give_records_or_an_end(noise: bytes, kept: int) -> None:
    found = list(records(FIRST[:kept] + noise))
    assert None not in found[:-1]
