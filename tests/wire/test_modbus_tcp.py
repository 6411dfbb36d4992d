"""The Modbus TCP session: what it accepts, and that each lie is refused by its own name, however the bytes arrive."""

import pytest

from protocols.errors import (
    ProtocolError,
    Refused,
    RequestError,
    UnexpectedBytes,
    WrongFunction,
    WrongLength,
    WrongTransaction,
    WrongUnit,
)
from protocols.modbus.tcp import TcpSession
from protocols.telegram import Garbage, Request, Telegram
from tests.wire.slices import Feed, bytewise, events, whole

QUESTION = Request("17", 4, "72", 2, ("72",))
ANSWER = "0001 0000 0007 11 04 04 449A5000"


def asked(question: Request = QUESTION) -> TcpSession:
    session = TcpSession()
    session.send(question)
    return session


ways = pytest.mark.parametrize("feed", [whole, bytewise])


def test_request_bytes() -> None:
    assert TcpSession().send(QUESTION) == bytes.fromhex("0001 0000 0006 11 04 0048 0002")


@ways
def test_answer(feed: Feed) -> None:
    (event,) = feed(asked(), bytes.fromhex(ANSWER))
    assert event == Telegram("17", 4, bytes.fromhex("449A5000"), bytes.fromhex(ANSWER))


LIES = [
    ("one register short", "0001 0000 0005 11 04 02 449A", WrongLength),
    ("one register long", "0001 0000 0009 11 04 06 449A50000000", WrongLength),
    ("wrong function", "0001 0000 0007 11 03 04 449A5000", WrongFunction),
    ("wrong unit", "0001 0000 0007 12 04 04 449A5000", WrongUnit),
    ("another transaction", "0002 0000 0007 11 04 04 449A5000", WrongTransaction),
    ("transaction zero", "0000 0000 0007 11 04 04 449A5000", WrongTransaction),
    ("byte count says less", "0001 0000 0007 11 04 02 449A5000", WrongLength),
    ("byte count says more", "0001 0000 0007 11 04 06 449A5000", WrongLength),
    ("length says less", "0001 0000 0006 11 04 04 449A5000", WrongLength),
    ("length says more", "0001 0000 0008 11 04 04 449A5000", WrongLength),
    ("length says nothing", "0001 0000 0001 11 04 04 449A5000", UnexpectedBytes),
    ("length of no frame", "0001 0000 00FF 11 04 04 449A5000", UnexpectedBytes),
    ("length of no frame, high byte", "0001 0000 0107 11 04 04 449A5000", UnexpectedBytes),
    ("protocol identifier", "0001 0001 0007 11 04 04 449A5000", UnexpectedBytes),
    ("four bytes of garbage before", "DEADBEEF" + ANSWER, UnexpectedBytes),
    ("a zero before", "00" + ANSWER, UnexpectedBytes),
    ("two zeros before", "0000" + ANSWER, UnexpectedBytes),
    ("exception 2", "0001 0000 0003 11 84 02", Refused),
    ("exception to another function", "0001 0000 0003 11 83 02", WrongFunction),
    ("exception from another unit", "0001 0000 0003 12 84 02", WrongUnit),
    ("exception in another transaction", "0003 0000 0003 11 84 02", WrongTransaction),
    ("exception with a tail inside", "0001 0000 0007 11 84 02 02020202", WrongLength),
    ("answer as short as an exception", "0001 0000 0003 11 04 00", WrongLength),
]


@ways
@pytest.mark.parametrize(("answer", "error"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_lie(feed: Feed, answer: str, error: type[ProtocolError]) -> None:
    session = asked()
    found = feed(session, bytes.fromhex(answer))
    assert found, "shown by the bytes, so said without waiting for more"
    session.idle()
    found += events(session)
    assert isinstance(found[0], Garbage)
    assert type(found[0].error) is error
    assert not any(isinstance(event, Telegram) for event in found)
    assert b"".join(event.data for event in found if isinstance(event, Garbage)) == bytes.fromhex(answer)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("0001 0000 0003 11 84 01", "exception_1"),
        ("0001 0000 0003 11 84 02", "exception_2"),
        ("0001 0000 0003 11 84 0A", "gateway_path_unavailable"),
        ("0001 0000 0003 11 84 0B", "gateway_no_answer"),
        ("0001 0000 0003 11 84 63", "exception_99"),
    ],
)
def test_refusal(answer: str, code: str) -> None:
    (event,) = whole(asked(), bytes.fromhex(answer))
    assert isinstance(event, Garbage)
    assert event.error.code == code


@ways
def test_late_answer_is_skipped_and_the_right_one_found(feed: Feed) -> None:
    session = asked()
    session.send(QUESTION)
    found = feed(session, bytes.fromhex(ANSWER + "0002 0000 0007 11 04 04 449A6000"))
    assert [type(event.error) for event in found[:-1] if isinstance(event, Garbage)] == [WrongTransaction] * (
        len(found) - 1
    )
    assert isinstance(found[-1], Telegram)
    assert found[-1].payload == bytes.fromhex("449A6000")


@ways
def test_framing_is_lost_until_the_next_question(feed: Feed) -> None:
    session = asked()
    feed(session, bytes.fromhex("FFFFFFFF"))
    assert all(isinstance(event, Garbage) for event in feed(session, bytes.fromhex(ANSWER)))
    session.send(QUESTION)
    (event,) = feed(session, bytes.fromhex("0002 0000 0007 11 04 04 449A5000"))
    assert isinstance(event, Telegram)


@pytest.mark.parametrize("cut", range(1, 13))
def test_cut_short(cut: int) -> None:
    session = asked()
    data = bytes.fromhex(ANSWER)[:cut]
    assert not whole(session, data)
    session.idle()
    (event,) = events(session)
    assert isinstance(event, Garbage)
    assert type(event.error) is WrongLength
    assert event.data == data


def test_tail_is_garbage() -> None:
    found = whole(asked(), bytes.fromhex(ANSWER + "0000"))
    assert [type(event) for event in found] == [Telegram, Garbage]


def test_nothing_is_believed_that_was_not_asked() -> None:
    (event,) = whole(TcpSession(), bytes.fromhex(ANSWER))
    assert isinstance(event, Garbage)
    assert type(event.error) is UnexpectedBytes


def test_an_answer_counts_once() -> None:
    found = whole(asked(), bytes.fromhex(ANSWER * 2))
    assert [type(event) for event in found] == [Telegram, Garbage]


def test_a_refusal_counts_once_and_is_the_end() -> None:
    found = whole(asked(), bytes.fromhex("0001 0000 0003 11 84 02" + ANSWER))
    assert [event.error.code for event in found if isinstance(event, Garbage)] == ["exception_2", "unexpected_bytes"]
    assert len(found) == 2


def test_what_came_before_the_question_is_forgotten() -> None:
    session = asked()
    session.receive(bytes.fromhex(ANSWER)[:5])
    session.send(QUESTION)
    (event,) = whole(session, bytes.fromhex("0002 0000 0007 11 04 04 449A5000"))
    assert isinstance(event, Telegram)


def test_flood_is_bounded() -> None:
    session = asked()
    for _ in range(100):
        session.receive(b"\x00\x01" * 500)
    assert len(session._buffer) <= session._buffer.limit
    assert all(isinstance(event, Garbage) for event in events(session))


def test_transactions_count_from_1_and_skip_0() -> None:
    session = TcpSession()
    seen = [session.send(QUESTION)[:2] for _ in range(0x10000)]
    assert seen[0] == b"\x00\x01"
    assert seen[0xFFFE] == b"\xff\xff"
    assert seen[0xFFFF] == b"\x00\x01"
    assert b"\x00\x00" not in seen


@pytest.mark.parametrize("address", ["", "-1", "248", "254", "256", "1.0", "x", "١", "0x11", " 1", "0001"])
def test_no_unit(address: str) -> None:
    with pytest.raises(RequestError, match="is no Modbus unit"):
        TcpSession().send(Request(address, 4, "0", 1))


@pytest.mark.parametrize("address", ["0", "1", "247", "255"])
def test_unit(address: str) -> None:
    assert TcpSession().send(Request(address, 4, "0", 1))[6] == int(address)


@pytest.mark.parametrize(
    ("function", "target", "count", "match"),
    [
        (6, "0", 1, "none of the read functions"),
        (4, "0", 126, "reads 1 to 125"),
        (4, "0", 0, "reads 1 to 125"),
        (1, "0", 2001, "reads 1 to 2000"),
        (4, "65535", 2, "leaves the range"),
        (4, "x", 2, "is no wire address"),
    ],
)
def test_no_request(function: int, target: str, count: int, match: str) -> None:
    with pytest.raises(RequestError, match=match):
        TcpSession().send(Request("1", function, target, count))


@ways
@pytest.mark.parametrize("count", [1, 7, 8, 9, 2000])
def test_bits_are_rounded_up_to_bytes(feed: Feed, count: int) -> None:
    size = (count + 7) // 8
    session = asked(Request("17", 1, "0", count))
    (event,) = feed(session, bytes((0, 1, 0, 0, 0, 3 + size, 17, 1, size)) + b"\x55" * size)
    assert isinstance(event, Telegram)
    assert event.payload == b"\x55" * size
