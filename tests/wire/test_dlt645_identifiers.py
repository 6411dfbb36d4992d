"""The table of data identifiers and the pictures behind it: exact values, and never a number that the bytes do not say."""

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.catalogue import describe
from protocols.dlt645 import pictures
from protocols.dlt645.identifiers import all_meanings, copy_of, find, items, status_text
from protocols.errors import ProfileError
from protocols.obis import Obis
from protocols.profile import builtin_profiles
from protocols.telegram import Item

STAMP = datetime(2026, 3, 15, 0, 0)  # noqa: DTZ001 - the meter's own, without a zone


def the_item(identifier: str, wire: str) -> Item:
    (item,) = items(identifier, bytes.fromhex(wire))
    return item


# --- the table ------------------------------------------------------------------------------------------------------------


def test_every_quantity_of_the_table_is_one_of_the_catalogue_in_its_unit() -> None:
    seen = 0
    for meaning in all_meanings():
        if meaning.quantity is not None:
            assert describe(Obis.parse(meaning.quantity)).unit == meaning.unit, meaning
            assert meaning.basis is not None
            seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    ("identifier", "quantity", "basis"),
    [
        ("00000000", None, None),
        ("00010000", "1-0:1.8.0", "instant"),
        ("00010800", "1-0:1.8.8", "instant"),
        ("00010900", None, None),
        ("00020201", "1-0:2.8.2*01", "settlement"),
        ("0002000C", "1-0:2.8.0*12", "settlement"),
        ("00030000", "1-0:3.8.0", "instant"),
        ("00040000", "1-0:4.8.0", "instant"),
        ("00080100", "1-0:8.8.1", "instant"),
        ("00290000", "1-0:41.8.0", "instant"),
        ("01010000", "1-0:1.6.0", "instant"),
        ("02010200", "1-0:52.7.0", "instant"),
        ("02020300", "1-0:71.7.0", "instant"),
        ("02030000", "1-0:16.7.0", "instant"),
        ("02030100", "1-0:36.7.0", "instant"),
        ("02060000", "1-0:13.7.0", "instant"),
        ("02800002", "1-0:14.7.0", "instant"),
        ("04000503", None, None),
    ],
)
def test_what_an_identifier_is(identifier: str, quantity: str | None, basis: str | None) -> None:
    meaning = find(identifier)
    assert meaning is not None
    assert (meaning.quantity, meaning.basis) == (quantity, basis)


@pytest.mark.parametrize(
    "identifier",
    ["0001000D", "00014000", "02010400", "02010000", "0506013F", "05060100", "05060001FF", "04000508", "0A"],
)
def test_what_the_table_has_not_is_shown_raw(identifier: str) -> None:
    assert find(identifier) is None
    assert items(identifier, b"\x01\x02") == (Item(identifier, b"\x01\x02", reason="unknown"),)


def test_copies_are_counted_in_binary() -> None:
    assert [copy_of("050601nn", back) for back in (1, 10, 62)] == ["05060101", "0506010A", "0506013E"]


def test_registers_of_the_profiles_are_as_in_the_table() -> None:
    seen = 0
    for profile in builtin_profiles().values():
        for register in profile.registers if profile.protocol == "dlt645" else ():
            if register.basis == "curve":
                continue  # not in the table: test_dlt645_load_records.py
            meaning = find(copy_of(register.id, 1))
            assert meaning is not None, register.id
            one = meaning.parts[register.position] if meaning.parts else meaning
            copy = "*01" if register.basis == "settlement" else ""
            assert (one.quantity, one.unit, one.basis) == (register.quantity + copy, register.unit, register.basis)
            assert one.picture == pictures.parse(register.type)
            assert register.scale == 1
            assert register.resolution == Decimal(1).scaleb(-one.picture.parts[0].decimals)
            stamped = register.quantity.startswith(("1-0:1.8.", "1-0:2.8.")) and register.basis != "settlement"
            assert register.billable is stamped
            if register.basis == "freeze":
                assert (register.time_id, register.depth) == ("050600nn", 62)
            elif register.basis == "settlement":
                assert (register.time_id, register.depth) == (None, 12)
            seen += 1
    assert seen > 60


# --- values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "wire", "value", "unit"),
    [
        ("00010000", "56 34 12 00", "1234.56", "kWh"),
        ("00010000", "99 99 99 99", "999999.99", "kWh"),
        ("00000000", "56 34 12 80", "-1234.56", "kWh"),
        ("00000000", "00 00 00 80", "0.00", "kWh"),
        ("00030000", "01 00 00 F9", "-790000.01", "kvarh"),
        ("02010100", "01 23", "230.1", "V"),
        ("02020100", "99 49 80", "-4.999", "A"),
        ("02030000", "12 25 80", "-0.2512", "kW"),
        ("02060100", "00 90", "-1.000", "1"),
        ("02800002", "03 50", "50.03", "Hz"),
        ("02800007", "35 82", "-23.5", "°C"),
        ("00900200", "50 12 00 00", "12.50", "CNY"),
        ("04000409", "00 12 00", "1200", "imp/kWh"),
    ],
)
def test_numbers_are_exact_and_signed_where_the_table_says(identifier: str, wire: str, value: str, unit: str) -> None:
    item = the_item(identifier, wire)
    assert (str(item.value), item.unit, item.reason) == (value, unit, "")


@pytest.mark.parametrize(
    ("identifier", "wire", "reason"),
    [
        # wire 33 33 41 33 of a source with nibbles that are no digits (protocols-china.md §1.5)
        ("00010000", "00 00 0E 00", "bad_digits"),
        ("00010000", "FF FF FF FF", "bad_digits"),
        ("00010000", "EE EE EE EE", "bad_digits"),
        ("00010000", "56 34 12 F0", "bad_digits"),  # unsigned: the top bit is no sign
        ("00000000", "56 34 12 7A", "bad_digits"),
        ("00010000", "56 34 12", "wrong_length"),
        ("00010000", "56 34 12 00 00", "wrong_length"),
        ("00010000", "", "wrong_length"),
        ("04000101", "01 31 02 26", "bad_digits"),
        ("04000102", "60 00 00", "bad_digits"),
        ("04000402", "0A 00 00 00 00 00", "bad_digits"),
        ("04000503", "50", "wrong_length"),
    ],
)
def test_what_says_nothing_is_no_number(identifier: str, wire: str, reason: str) -> None:
    item = the_item(identifier, wire)
    assert (item.value, item.reason, item.raw) == (None, reason, bytes.fromhex(wire))


def test_clock_and_numbers_are_text() -> None:
    assert the_item("04000101", "06 14 03 26").value == "2026-03-14"
    assert the_item("04000102", "09 05 23").value == "23:05:09"
    assert the_item("04000102", "09 05 23").time is None  # of no day
    assert the_item("0400010C", "09 05 23 06 14 03 26").value == "2026-03-14 23:05:09"
    assert the_item("04000402", "12 90 78 56 34 12").value == "123456789012"


def test_a_demand_has_its_time() -> None:
    item = the_item("01010000", "34 12 00 45 10 14 03 26")
    assert (item.value, item.time) == (Decimal("0.1234"), datetime(2026, 3, 14, 10, 45))  # noqa: DTZ001
    never = the_item("01010000", "00 00 00 00 00 00 00 00")
    assert (never.value, never.time) == (Decimal("0.0000"), None)


def test_a_block_is_its_parts() -> None:
    found = items("0001FF01", bytes.fromhex("01 00 00 00 02 00 00 00 0A 00 00 00"))
    assert [(i.id, i.value, i.quantity, i.reason) for i in found] == [
        ("00010001", Decimal("0.01"), "1-0:1.8.0*01", ""),
        ("00010101", Decimal("0.02"), "1-0:1.8.1*01", ""),
        ("00010201", None, "1-0:1.8.2*01", "bad_digits"),
    ]
    assert [i.id for i in items("0201FF00", bytes(6))] == ["02010100", "02010200", "02010300"]
    assert [i.id for i in items("0203FF00", bytes(12))] == ["02030000", "02030100", "02030200", "02030300"]


@pytest.mark.parametrize(("identifier", "length"), [("0001FF00", 5), ("0001FF00", 0), ("0201FF00", 8), ("05060101", 6)])
def test_a_block_of_broken_length_is_no_number(identifier: str, length: int) -> None:
    (item,) = items(identifier, bytes(length))
    assert (item.value, item.reason) == (None, "wrong_length")


def test_a_freeze_is_a_block_under_one_identifier() -> None:
    found = items("0506023E", bytes.fromhex("01 00 00 00 02 00 00 00"))
    assert [(i.id, i.quantity, i.basis) for i in found] == [
        ("0506023E", "1-0:2.8.0", "freeze"),
        ("0506023E", "1-0:2.8.1", "freeze"),
    ]
    assert the_item("05060001", "00 00 15 03 26").time == STAMP


@pytest.mark.parametrize(
    ("word", "bits", "text"),
    [
        (
            1,
            "003E",
            "003E: demand by intervals, clock battery low, reading battery low, active power reversed, reactive",
        ),
        (2, "0011", "0011: active power of phase A reversed, reactive power of phase A reversed"),
        (3, "0002", "0002: auxiliary supply"),
        (3, "0004", "0004: battery supply"),
        (3, "0006", "0006: bits 1 = 3"),
        (3, "0010", "0010: relay open"),
        (3, "0200", "0200: prepaid by money"),
        (4, "0181", "0181: voltage lost, phase failed, current cut"),
        (7, "0020", "0020: power down"),
        (7, "8000", "8000"),
        (3, "0000", "0000"),
    ],
)
def test_status_words(word: int, bits: str, text: str) -> None:
    assert status_text(word, bits).startswith(text)
    assert the_item(f"0400050{word}", bytes.fromhex(bits)[::-1].hex()).value == status_text(word, bits)


# --- pictures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("picture", ["", "XXX", "XX.X.X", "XXXX YYMM XX", "YYMMDDhhmm XX.XX", "xx", "SNN", "XX  hhmm"])
def test_what_is_no_picture(picture: str) -> None:
    with pytest.raises(ProfileError, match=r"picture|odd number of digits"):
        pictures.parse(picture)


@given(st.integers(0, 10**8 - 1))
def test_bcd_is_read_as_it_is_written(number: int) -> None:
    wire = bytes.fromhex(f"{number:08d}")[::-1]
    assert pictures.read(pictures.parse("XXXXXX.XX"), wire).value == Decimal(number).scaleb(-2)


@given(
    st.sampled_from(["XXXXXX.XX", "SXX.XXXX YYMMDDhhmm", "YYMMDDWW", "hhmmss", "NNNN", "BBBB"]), st.binary(max_size=10)
)
def test_no_bytes_raise(picture: str, data: bytes) -> None:
    read = pictures.read(pictures.parse(picture), data)
    assert (read.value is None) == bool(read.reason)


@given(st.binary(max_size=30), st.integers(0, 2**32 - 1))
def test_no_answer_raises(payload: bytes, identifier: int) -> None:
    assert items(f"{identifier:08X}", payload)


@given(st.binary(max_size=30), st.sampled_from(sorted({meaning.id for meaning in all_meanings()})))
def test_no_answer_about_what_is_known_raises(payload: bytes, identifier: str) -> None:
    for item in items(identifier, payload):
        assert (item.value is None) == bool(item.reason)
