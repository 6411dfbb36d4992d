"""Registers to values: every type, every word order, floats exactly, and what is no value."""

import math
import struct
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ProfileError
from protocols.modbus.coding import WORD_ORDERS, coding, in_order


@pytest.mark.parametrize(
    ("type_", "data", "value"),
    [
        ("uint16", "FFFE", "65534"),
        ("int16", "FFFE", "-2"),
        ("uint32", "00010000", "65536"),
        ("int32", "FFFFFFFF", "-1"),
        ("uint64", "0000000100000000", "4294967296"),
        ("int64", "8000000000000000", "-9223372036854775808"),
        ("bcd4", "0042", "42"),
        ("bcd12", "000123456789", "123456789"),
        ("float32", "449A5000", "1234.5"),
        ("float32", "45A226C7", "5188.84716796875"),
        ("float32", "C2674000", "-57.8125"),
        ("float32", "80000000", "0"),
        ("float64", "3FB999999999999A", "0.1000000000000000055511151231257827021181583404541015625"),
    ],
)
def test_number(type_: str, data: str, value: str) -> None:
    how = coding(type_)
    raw = bytes.fromhex(data)
    assert len(raw) == 2 * how.registers
    assert how.read(raw).value == Decimal(value)


def test_text() -> None:
    assert coding("string8").read(b"SDM-630\x00").value == "SDM-630"
    assert coding("string4").read(b"\xff\xffAB").reason == "bad_digits"


def test_bcd_with_a_letter() -> None:
    said = coding("bcd4").read(bytes.fromhex("12A4"))
    assert said.value is None
    assert said.reason == "bad_digits"


@pytest.mark.parametrize("data", ["7FC00000", "7F800000", "FF800000", "FFFFFFFF", "7F800001"])
def test_float32_without_a_value(data: str) -> None:
    said = coding("float32").read(bytes.fromhex(data))
    assert said.value is None
    assert said.step is None
    assert said.reason == "invalid_value"


@pytest.mark.parametrize("name", ["float", "uint8", "string3", "string0", "bcd5", "FLOAT32", ""])
def test_no_type(name: str) -> None:
    with pytest.raises(ProfileError, match="is no Modbus type"):
        coding(name)


@pytest.mark.parametrize(("type_", "layout", "width"), [("float32", ">f", 4), ("float64", ">d", 8)])
@given(data=st.data())
def test_floats_are_exact(type_: str, layout: str, width: int, data: st.DataObject) -> None:
    """Against the interpreter's own floats: value and step of every number, bit for bit."""
    raw = data.draw(st.binary(min_size=width, max_size=width))
    (expected,) = struct.unpack(layout, raw)
    said = coding(type_).read(raw)
    if not math.isfinite(expected):
        assert said.value is None
        return
    assert isinstance(said.value, Decimal)
    assert said.step is not None
    assert Fraction(said.value) == Fraction(expected)
    bits = int.from_bytes(raw, "big")
    magnitude = bits & ((1 << 8 * width - 1) - 1)
    above = struct.unpack(layout, (magnitude + 1).to_bytes(width, "big"))[0]
    if math.isfinite(above):
        assert Fraction(said.step) == Fraction(above) - Fraction(abs(expected))


def test_word_orders_by_hand() -> None:
    """The same number as four makers put it on the wire."""
    wires = {"ABCD": "11223344", "CDAB": "33441122", "BADC": "22114433", "DCBA": "44332211"}
    assert set(wires) == set(WORD_ORDERS)
    for order, wire in wires.items():
        assert in_order(bytes.fromhex(wire), order).hex() == "11223344"
    assert in_order(bytes.fromhex("0708050603040102"), "CDAB").hex() == "0102030405060708"
    assert in_order(bytes.fromhex("2211"), "DCBA").hex() == "1122"
    assert in_order(b"BADC", "DCBA", text=True) == b"ABCD"
