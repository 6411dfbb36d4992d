"""A DL/T 645 meter's clock: what it shows, what sets it, and that its password is nowhere kept."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.clockwork import Key
from protocols.dialect import Exchange
from protocols.dlt645.clock import DATE, DLT645_CLOCK, TIME
from protocols.dlt645.frame import Frame, Framer, encode
from protocols.dlt645.session import Dlt645Session, telegram
from protocols.errors import Refused, RequestError
from protocols.telegram import Garbage, Request, Telegram
from tests.wire.slices import Said, events, whole

METER = "123456789012"
STAMP = datetime(2026, 3, 14, 9, 26, 53)  # noqa: DTZ001 - a meter's clock knows no zone
KEY = Key("02370602", "00000001")
SECRET = bytes.fromhex("35 6A 39 35")
"""02 37 06 02 as it goes over the wire, +33H: of a real relay command to meter 151230011061."""


def telegrams(data: bytes) -> tuple[Telegram, ...]:
    framer = Framer()
    framer.receive(data)
    frame = framer.next()
    assert isinstance(frame, Frame)
    return (telegram(frame),)


def exchange(identifier: str, payload: str) -> Exchange:
    answer = encode(METER, 0x91, bytes.fromhex(identifier)[::-1] + bytes.fromhex(payload))
    return Exchange(Request(METER, 0x11, identifier), telegrams(answer))


def to_write(request: Request, *answers: bytes) -> Said:
    session = Dlt645Session()
    session.send(request)
    found = [event for answer in answers for event in whole(session, answer)]
    session.idle()
    return found + events(session)


def test_a_date_that_somebody_elses_meter_showed() -> None:
    """04000101 = 25-12-09, day 01 of the week, which is wrong (it was a Tuesday) and not believed."""
    answer = bytes.fromhex("FE FE FE FE 68 AA AA AA AA AA AA 68 91 08 34 34 33 37 34 3C 45 58 44 16")
    date = Exchange(Request("A" * 12, 0x11, DATE), telegrams(answer))
    assert DLT645_CLOCK.shown(date, exchange(TIME, "53 26 09")) == datetime(2025, 12, 9, 9, 26, 53)  # noqa: DTZ001 - as above


@pytest.mark.parametrize(
    ("date", "time"),
    [("06 14 03 26", "53 26 0A"), ("06 14 13 26", "53 26 09"), ("00 00 00 00", "00 00 00"), ("06 14 03", "53 26 09")],
)
def test_nonsense_is_no_time(date: str, time: str) -> None:
    assert DLT645_CLOCK.shown(exchange(DATE, date), exchange(TIME, time)) is None


def test_a_time_without_its_date_is_none() -> None:
    assert DLT645_CLOCK.shown(None, exchange(TIME, "53 26 09")) is None


def test_setting_writes_the_date_and_then_the_time() -> None:
    """The layout DI, PA P0 P1 P2, C0…C3, data is what the PyPI package dlt645 takes (tests/links/test_dlt645_peer.py)."""
    date, time = DLT645_CLOCK.set_to(METER, STAMP, KEY, date=True)
    session = Dlt645Session()
    assert session.send(date) == encode(METER, 0x14, bytes.fromhex("01 01 00 04 02 37 06 02 01 00 00 00 06 14 03 26"))
    assert session.send(time) == encode(METER, 0x14, bytes.fromhex("02 01 00 04 02 37 06 02 01 00 00 00 53 26 09"))
    assert DLT645_CLOCK.set_to(METER, STAMP, KEY, date=False) == (time,)


def test_sunday_is_nought() -> None:
    (date, _) = DLT645_CLOCK.set_to(METER, STAMP.replace(day=15), Key("02000000"), date=True)
    assert date.data[8:] == bytes.fromhex("00 15 03 26")


@pytest.mark.parametrize("address", ["A" * 12, "9" * 12, "AA3456"])
def test_many_meters_are_not_set_at_once(address: str) -> None:
    with pytest.raises(RequestError, match="may be many meters"):
        DLT645_CLOCK.set_to(address, STAMP, KEY, date=True)


@pytest.mark.parametrize("password", ["", "654321", "0212345X", "021234567"])
def test_a_password_that_is_none_is_not_told(password: str) -> None:
    with pytest.raises(RequestError, match="eight digits") as error:
        DLT645_CLOCK.set_to(METER, STAMP, Key(password), date=True)
    assert not password or password not in str(error.value)


def test_an_operator_that_is_none() -> None:
    with pytest.raises(RequestError, match="no operator code"):
        DLT645_CLOCK.set_to(METER, STAMP, Key("02123456", "li"), date=True)


def test_the_broadcast() -> None:
    """icprog/dlt698.45, cjdeal/read485.c, sendBroadCastTime07: second, minute, hour, day, month, year."""
    sent = Dlt645Session().send(DLT645_CLOCK.broadcast(STAMP))
    assert sent == bytes.fromhex("FE FE FE FE 68 99 99 99 99 99 99 68 08 06 86 59 3C 47 36 59") + sent[-2:]
    assert sent == encode("9" * 12, 0x08, bytes.fromhex("53 26 09 14 03 26"))


def test_done_has_no_data() -> None:
    (_, time) = DLT645_CLOCK.set_to(METER, STAMP, KEY, date=True)
    (said,) = to_write(time, encode(METER, 0x94))
    assert isinstance(said, Telegram)
    (foreign,) = to_write(time, encode("123456789013", 0x94))
    assert isinstance(foreign, Garbage)
    (other,) = to_write(time, encode(METER, 0x91, bytes.fromhex("02 01 00 04 53 26 09")))
    assert isinstance(other, Garbage)


def test_a_wrong_password_is_told_from_other_refusals() -> None:
    (_, time) = DLT645_CLOCK.set_to(METER, STAMP, KEY, date=True)
    refusal = encode(METER, 0xD4, b"\x04")
    (said,) = to_write(time, refusal)
    assert isinstance(said, Garbage)
    assert isinstance(said.error, Refused)
    assert DLT645_CLOCK.wrong_key(b"\x00\x68" + refusal)
    assert not DLT645_CLOCK.wrong_key(encode(METER, 0xD4, b"\x01"))
    assert not DLT645_CLOCK.wrong_key(encode(METER, 0xD1, b"\x04"))
    assert not DLT645_CLOCK.wrong_key(b"")


def test_what_is_kept_has_no_password_and_no_sum_that_tells_it() -> None:
    one, other = (DLT645_CLOCK.set_to(METER, STAMP, Key(text), date=True)[0] for text in ("02370602", "02999999"))
    session = Dlt645Session()
    kept, too = (DLT645_CLOCK.without_key(b"\x01\x68" + session.send(write)) for write in (one, other))
    assert kept == too
    assert SECRET not in kept
    assert DLT645_CLOCK.on_the_wire(KEY) == SECRET
    assert len(kept) == len(session.send(one)) + 2
    assert "370602" not in repr(one)
    assert "370602" not in repr(KEY)


@given(st.binary(max_size=80))
def test_other_bytes_are_kept_as_they_are(data: bytes) -> None:
    if b"\x14" not in data:
        assert DLT645_CLOCK.without_key(data) == data
    assert len(DLT645_CLOCK.without_key(data)) == len(data)
