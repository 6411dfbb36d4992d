"""A DL/T 645 session: what answers a request, and everything that only looks like an answer."""

import pytest

from protocols.dlt645.frame import encode
from protocols.dlt645.session import Dlt645Session
from protocols.errors import (
    BadChecksum,
    BadDigits,
    ForeignAddress,
    ProtocolError,
    Refused,
    RequestError,
    UnexpectedBytes,
    WrongFunction,
    WrongIdentifier,
    WrongLength,
)
from protocols.telegram import Garbage, NeedMore, Request, Telegram
from tests.wire.slices import Said, events, whole

METER = "123456789012"
FORWARD = Request(METER, 0x11, "00010000")
# 1234.56 kWh, meter 123456789012: Dlt645.Core.Tests MeterClientTests.cs, a public test of another implementation
ANSWER = bytes.fromhex("FE FE 68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 54 16")


def said(session: Dlt645Session, *pieces: bytes) -> Said:
    """All that a session says to these bytes, silence at the end included."""
    found = [event for piece in pieces for event in whole(session, piece)]
    session.idle()
    return found + events(session)


def answered(request: Request, *pieces: bytes) -> Said:
    session = Dlt645Session()
    session.send(request)
    return said(session, *pieces)


def answer(address: str = METER, control: int = 0x91, data: str = "00 00 01 00 56 34 12 00") -> bytes:
    return encode(address, control, bytes.fromhex(data), preamble=b"")


def error_of(event: Garbage | Telegram) -> ProtocolError:
    assert isinstance(event, Garbage)
    return event.error


def test_a_request_goes_out_as_the_standard_writes_it() -> None:
    session = Dlt645Session()
    sent = session.send(Request("12345678", 0x11, "00010000"))
    assert sent == bytes.fromhex("FE FE FE FE 68 78 56 34 12 00 00 68 11 04 33 33 34 33 C6 16")
    sent = session.send(Request("A" * 12, 0x13, ""))
    assert sent == bytes.fromhex("FE FE FE FE 68 AA AA AA AA AA AA 68 13 00 DF 16")


def test_a_follow_up_asks_by_number() -> None:
    sent = Dlt645Session().send(Request(METER, 0x12, "0001FF00", count=2))
    assert sent == encode(METER, 0x12, bytes.fromhex("00 FF 01 00 02"))


@pytest.mark.parametrize(
    ("request_", "match"),
    [
        (Request("1234567890123", 0x11, "00010000"), "no DL/T 645 address"),
        (Request("12A4", 0x11, "00010000"), "no DL/T 645 address"),
        (Request("", 0x11, "00010000"), "no DL/T 645 address"),
        (Request("١٢", 0x11, "00010000"), "no DL/T 645 address"),
        (Request("12AA", 0x11, "00010000"), "no DL/T 645 address"),
        (Request(METER, 0x11, "10000"), "no data identifier"),
        (Request(METER, 0x1C, "00010000"), "none that a session asks"),
        (Request(METER, 0x12, "00010000", count=0), "numbered 1 to 255"),
        (Request(METER, 0x12, "00010000", count=256), "numbered 1 to 255"),
    ],
)
def test_what_no_frame_can_say_is_ours(request_: Request, match: str) -> None:
    with pytest.raises(RequestError, match=match):
        Dlt645Session().send(request_)


def test_the_answer_is_found() -> None:
    (event,) = answered(FORWARD, ANSWER)
    assert event == Telegram(
        METER, 0x91, bytes.fromhex("56341200"), ANSWER[2:], detail={"name": "read data", "id": "00010000"}
    )


def test_an_address_is_padded_on_the_left() -> None:
    (event,) = answered(Request("161", 0x11, "00010000"), answer("000000000161"))
    assert isinstance(event, Telegram)


@pytest.mark.parametrize("asked", ["AAAAAAAAAAAA", "AA789012", "aaaaaa789012", "AAAA56789012", "999999999999"])
def test_a_wildcard_takes_the_meters_own_address(asked: str) -> None:
    (event,) = answered(Request(asked, 0x11, "00010000"), ANSWER)
    assert isinstance(event, Telegram)
    assert event.address == METER


def test_a_virtual_meter_gives_the_wildcard_back() -> None:
    # captured from the PyPI package dlt645 3.2.0 on loopback, asked with AA…: the date 25-12-09
    frame = bytes.fromhex("FE FE FE FE 68 AA AA AA AA AA AA 68 91 08 34 34 33 37 34 3C 45 58 44 16")
    (event,) = answered(Request("AAAAAAAAAAAA", 0x11, "04000101"), frame)
    assert isinstance(event, Telegram)
    assert event.payload == bytes.fromhex("01 09 12 25")


@pytest.mark.parametrize(
    ("asked", "data", "kind", "match"),
    [
        (FORWARD, answer("123456789013"), ForeignAddress, "meter 123456789013 answers, 123456789012 was asked"),
        (Request("AA9012", 0x11, "00010000"), answer("123456789013"), ForeignAddress, "AAAAAAAA9012 was asked"),
        # A wildcard is no proof of identity for a question that had an address in it.
        (FORWARD, answer("A" * 12), ForeignAddress, "meter AAAAAAAAAAAA answers"),
        (FORWARD, answer(control=0x93), WrongFunction, "the answer is to read address, asked was read data"),
        (FORWARD, answer(control=0x92), WrongFunction, "the answer is to read follow-up"),
        (FORWARD, answer(data="00 00 02 00 56 34 12 00"), WrongIdentifier, "about 00020000, asked was 00010000"),
        (FORWARD, answer(data="00 00 01"), WrongLength, "too short for its identifier"),
        (FORWARD, encode(METER, 0x11, bytes.fromhex("00 00 01 00")), UnexpectedBytes, "echo"),
        (FORWARD, encode(METER, 0x11, bytes.fromhex("00 00 02 00")), UnexpectedBytes, "a request, not an answer"),
        (FORWARD, answer(control=0xD1, data="02"), Refused, "no requested data"),
        (FORWARD, answer(control=0xD1, data="FE"), Refused, "no requested data, wrong password .* too many tariffs"),
        (FORWARD, answer(control=0xD1, data="00"), Refused, "no bit set"),
        (Request("A" * 12, 0x13, ""), answer(control=0x93, data="12 90 78 56 34"), WrongLength, "six bytes"),
        (Request("A" * 12, 0x13, ""), answer(control=0x93, data="12 90 78 56 34 1B"), BadDigits, "decimal digits"),
        (Request(METER, 0x12, "00010000", count=2), answer(control=0x92, data="00000100 01"), WrongIdentifier, "2 was"),
        (Request(METER, 0x12, "00010000", count=2), answer(control=0x92, data="00000100"), WrongLength, "its number"),
    ],
)
def test_what_is_no_answer_to_the_request(asked: Request, data: bytes, kind: type[ProtocolError], match: str) -> None:
    (event,) = answered(asked, data)
    error = error_of(event)
    assert type(error) is kind
    with pytest.raises(kind, match=match):
        raise error
    assert error.data == data.lstrip(b"\xfe")


def test_a_refusal_says_so_in_its_code() -> None:
    (event,) = answered(FORWARD, bytes.fromhex("68 12 90 78 56 34 12 68 D1 01 35 8D 16"))
    assert error_of(event).code == "refused"


def test_an_answer_that_nobody_asked_for() -> None:
    (event,) = said(Dlt645Session(), ANSWER)
    assert "nobody asked for" in str(error_of(event))


def test_the_echo_is_passed_over_and_the_answer_behind_it_found() -> None:
    session = Dlt645Session()
    sent = session.send(FORWARD)
    echo, found = said(session, sent, ANSWER)
    assert isinstance(error_of(echo), UnexpectedBytes)
    assert isinstance(found, Telegram)


def test_a_new_request_forgets_what_lay_in_the_buffer() -> None:
    session = Dlt645Session()
    session.send(FORWARD)
    session.receive(ANSWER)
    session.send(FORWARD)
    assert isinstance(session.next_event(), NeedMore)


def test_more_follows() -> None:
    first, second = (
        answered(asked, answer(control=control, data=data))[0]
        for asked, control, data in [
            (Request(METER, 0x11, "0001FF00"), 0xB1, "00 FF 01 00 01 02"),
            (Request(METER, 0x12, "0001FF00", count=1), 0x92, "00 FF 01 00 03 04 01"),
        ]
    )
    assert isinstance(first, Telegram)
    assert first.more
    assert isinstance(second, Telegram)
    assert (second.more, second.payload, second.detail["seq"]) == (False, b"\x03\x04", "1")


def test_read_address() -> None:
    # one FE only: Dlt645.Core.Tests MeterClientTests.cs
    frame = bytes.fromhex("FE 68 12 90 78 56 34 12 68 93 06 45 C3 AB 89 67 45 07 16")
    (event,) = answered(Request("A" * 12, 0x13, ""), frame)
    assert isinstance(event, Telegram)
    assert (event.address, event.payload) == (METER, bytes.fromhex("12 90 78 56 34 12"))


def test_a_virtual_meters_address_is_taken_from_the_data() -> None:
    (event,) = answered(Request("A" * 12, 0x13, ""), answer("A" * 12, 0x93, "12 90 78 56 34 12"))
    assert isinstance(event, Telegram)
    assert event.address == METER


def test_a_bad_checksum_is_one_piece_of_garbage() -> None:
    frame = bytes.fromhex("68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 55 16")
    for pieces in ([frame], [frame[n : n + 1] for n in range(len(frame))]):
        (event,) = answered(FORWARD, *pieces)
        assert isinstance(error_of(event), BadChecksum)
        assert isinstance(event, Garbage)
        assert event.data == frame
