"""The Modbus RTU session: the right answer is found behind any noise, and all else is refused by its own name."""

import pytest

from protocols.errors import (
    BadChecksum,
    ProtocolError,
    Refused,
    UnexpectedBytes,
    WrongFunction,
    WrongLength,
    WrongUnit,
)
from protocols.modbus.rtu import checksum, encode_frame, is_sound
from protocols.modbus.rtu_session import RtuSession
from protocols.telegram import Garbage, Request, Telegram
from tests.wire.slices import Feed, bytewise, events, merged, to_the_end, whole

QUESTION = Request("17", 4, "72", 2, ("72",))


def frame(written: str) -> bytes:
    """Unit and PDU, with the CRC that belongs to them."""
    body = bytes.fromhex(written)
    return body + checksum(body).to_bytes(2, "little")


ANSWER = frame("11 04 04 449A5000")


def asked(question: Request = QUESTION) -> RtuSession:
    session = RtuSession()
    session.send(question)
    return session


ways = pytest.mark.parametrize("feed", [whole, bytewise])


def test_checksum_of_the_catalogue() -> None:
    """The check value that every catalogue of CRCs gives for CRC-16/MODBUS."""
    assert checksum(b"123456789") == 0x4B37


def test_captured_request() -> None:
    """github.com/volkszaehler/mbmd/issues/89."""
    assert RtuSession().send(Request("1", 4, "362", 2)) == bytes.fromhex("0104016a0002502b")


@ways
def test_answer_needs_no_silence(feed: Feed) -> None:
    (event,) = feed(asked(), ANSWER)
    assert event == Telegram("17", 4, bytes.fromhex("449A5000"), ANSWER)


LIES = [
    ("one register short", frame("11 04 02 449A"), WrongLength),
    ("one register long", frame("11 04 06 449A50000000"), WrongLength),
    ("wrong function", frame("11 03 04 449A5000"), WrongFunction),
    ("function of a write", frame("11 10 0048 0002"), WrongFunction),
    ("function of unknown length", frame("11 2B 0E 01 00 FF"), WrongFunction),
    ("wrong unit", frame("12 04 04 449A5000"), WrongUnit),
    ("wrong unit, another length", frame("12 04 06 449A50000000"), WrongUnit),
    ("byte count says less", frame("11 04 02 449A5000"), WrongLength),
    ("byte count says more", frame("11 04 06 449A5000"), WrongLength),
    ("byte count says 255", frame("11 04 FF 449A5000"), WrongLength),
    ("checksum", ANSWER[:-1] + b"\x00", BadChecksum),
    ("checksum with its bytes changed over", ANSWER[:-2] + ANSWER[:-3:-1], BadChecksum),
    ("noise", bytes.fromhex("FFFE00FD0BAD"), UnexpectedBytes),
    ("exception 2", frame("11 84 02"), Refused),
    ("exception to another function", frame("11 83 02"), WrongFunction),
    ("exception from another unit", frame("12 84 02"), WrongUnit),
    ("exception with a bad checksum", frame("11 84 02")[:-1] + b"\x00", BadChecksum),
    ("our own request", frame("11 04 0048 0002"), UnexpectedBytes),
    ("cut short", ANSWER[:-1], WrongLength),
]


@ways
@pytest.mark.parametrize(("answer", "error"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_lie(feed: Feed, answer: bytes, error: type[ProtocolError]) -> None:
    found = to_the_end(asked(), answer, feed)
    assert merged(found) == [(merged(found)[0][0], answer)]
    assert isinstance(found[0], Garbage)
    assert type(found[0].error) is error


PROMPT = [lie for lie in LIES if lie[0] not in ("noise", "cut short", "function of unknown length")]


@ways
@pytest.mark.parametrize("answer", [lie[1] for lie in PROMPT], ids=[lie[0] for lie in PROMPT])
def test_lie_is_named_without_waiting_for_silence(feed: Feed, answer: bytes) -> None:
    assert feed(asked(), answer)


@ways
@pytest.mark.parametrize("lie", [lie[1] for lie in LIES if lie[2] is not Refused])
def test_the_answer_is_found_behind_every_lie(feed: Feed, lie: bytes) -> None:
    session = asked()
    found = to_the_end(session, lie, feed)
    assert not any(isinstance(event, Telegram) for event in found)
    (event,) = feed(session, ANSWER)
    assert isinstance(event, Telegram)


NOISES = ["00", "11", "1104", "110404", "11040444", "FF" * 300, "1184", "12040433", "11" * 40, "110404" * 9]


@ways
@pytest.mark.parametrize("noise", NOISES)
def test_the_answer_is_found_behind_noise_without_silence(feed: Feed, noise: str) -> None:
    found = merged(feed(asked(), bytes.fromhex(noise) + ANSWER))
    assert found[-1] == ("telegram", ANSWER)
    assert b"".join(data for _, data in found[:-1]) == bytes.fromhex(noise)


def test_exception_codes() -> None:
    for number, code in [
        (1, "exception_1"),
        (6, "exception_6"),
        (10, "gateway_path_unavailable"),
        (11, "gateway_no_answer"),
    ]:
        (event,) = whole(asked(), encode_frame(17, bytes((0x84, number))))
        assert isinstance(event, Garbage)
        assert event.error.code == code


@ways
def test_echo_then_answer(feed: Feed) -> None:
    session = RtuSession()
    echo = session.send(QUESTION)
    first, second = merged(feed(session, echo + ANSWER))
    assert first == ("unexpected_bytes", echo)
    assert second == ("telegram", ANSWER)


@ways
def test_echo_that_begins_like_the_answer(feed: Feed) -> None:
    """Registers from 0x0400: the request's third byte is the answer's byte count."""
    session = RtuSession()
    echo = session.send(Request("17", 4, "1024", 2))
    first, second = merged(feed(session, echo + ANSWER))
    assert first == ("unexpected_bytes", echo)
    assert second == ("telegram", ANSWER)


SELF_ANSWERING = Request("17", 3, "672", 1)
"""Its frame, 11 03 02 A0 00 01 87 00, is 11 03 02 A0 00 with the right CRC, and a zero: a sound answer to itself."""


@ways
@pytest.mark.parametrize("noise", [b"", b"\xfe"])
def test_echo_that_begins_with_a_sound_answer(feed: Feed, noise: bytes) -> None:
    session = RtuSession()
    echo = session.send(SELF_ANSWERING)
    real = frame("11 03 02 0001")
    assert is_sound(echo[:7])
    assert merged(to_the_end(session, noise + echo, feed)) == [("unexpected_bytes", noise + echo)]
    assert merged(feed(session, real)) == [("telegram", real)]


@ways
def test_that_answer_is_believed_at_the_silence(feed: Feed) -> None:
    session = RtuSession()
    answer = session.send(SELF_ANSWERING)[:7]
    assert feed(session, answer) == []
    session.idle()
    assert merged(events(session)) == [("telegram", answer)]


@ways
def test_echo_behind_a_broken_frame(feed: Feed) -> None:
    session = RtuSession()
    echo = session.send(QUESTION)
    broken = bytes.fromhex("1104120404449a5000d19a")
    assert merged(feed(session, broken + echo)) == [("wrong_length", broken), ("unexpected_bytes", echo)]


@ways
def test_a_foreign_frame_is_whole_whatever_stands_in_it(feed: Feed) -> None:
    other = frame("12 04 14" + "110404449A50000000" + "00" * 11)
    assert merged(feed(asked(), other + ANSWER)) == [("wrong_unit", other), ("telegram", ANSWER)]


@ways
def test_a_long_foreign_frame_hides_nothing_behind_it(feed: Feed) -> None:
    other = frame("12 04 28" + "00" * 40)
    session = asked()
    assert feed(session, other[:-1]) == []
    found = merged(whole(session, other[-1:] + b"\xfe" + ANSWER))
    assert found == [("wrong_unit", other), ("unexpected_bytes", b"\xfe"), ("telegram", ANSWER)]


BROKEN, FOREIGN = ANSWER[:-1] + b"\x00", frame("12 04 04 00000000")


@ways
@pytest.mark.parametrize("rest", [b"", b"\x11"])
def test_silence_ends_a_broken_frame(feed: Feed, rest: bytes) -> None:
    session = asked()
    assert merged(to_the_end(session, BROKEN + rest, feed))[0] == ("bad_checksum", BROKEN)
    assert merged(feed(session, FOREIGN)) == [("wrong_unit", FOREIGN)]


@ways
def test_a_question_ends_a_broken_frame(feed: Feed) -> None:
    session = asked()
    feed(session, BROKEN)
    session.send(QUESTION)
    assert merged(feed(session, FOREIGN)) == [("wrong_unit", FOREIGN)]


@ways
@pytest.mark.parametrize("silence", [False, True])
def test_what_came_before_the_question_is_forgotten(feed: Feed, silence: bool) -> None:
    session = asked()
    whole(session, b"\xfe" * 100)
    session.receive(b"\xfd" * 100)
    if silence:
        session.idle()
    session.send(QUESTION)
    assert feed(session, ANSWER[:4]) == []
    assert merged(feed(session, ANSWER[4:])) == [("telegram", ANSWER)]
    session.send(QUESTION)
    assert merged(feed(session, b"\xfe" + ANSWER)) == [("unexpected_bytes", b"\xfe"), ("telegram", ANSWER)]


@ways
def test_places_are_counted_anew_with_every_question(feed: Feed) -> None:
    session = asked()
    whole(session, b"\xfe" * 100)
    session.send(QUESTION)
    assert merged(feed(session, b"\xfe" + ANSWER)) == [("unexpected_bytes", b"\xfe"), ("telegram", ANSWER)]


@ways
def test_two_devices_talk_and_ours_is_heard(feed: Feed) -> None:
    other = frame("12 04 04 00000000")
    assert [verdict for verdict, _ in merged(feed(asked(), other + ANSWER))] == ["wrong_unit", "telegram"]


@ways
def test_noise_and_foreign_frames_are_told_apart_at_the_silence(feed: Feed) -> None:
    noise, other = b"\xfe\xfd", frame("12 04 04 00000000")
    assert merged(to_the_end(asked(), noise + other, feed)) == [("unexpected_bytes", noise), ("wrong_unit", other)]


@pytest.mark.parametrize("cut", range(1, 9))
def test_cut_short(cut: int) -> None:
    session = asked()
    assert not whole(session, ANSWER[:cut])
    session.idle()
    (event,) = events(session)
    assert isinstance(event, Garbage)
    assert type(event.error) is WrongLength
    assert event.data == ANSWER[:cut]
    (event,) = whole(session, ANSWER)
    assert isinstance(event, Telegram)


def test_tail_is_garbage() -> None:
    assert merged(whole(asked(), ANSWER + b"\x00")) == [("telegram", ANSWER), ("unexpected_bytes", b"\x00")]


def test_an_answer_counts_once() -> None:
    assert [verdict for verdict, _ in merged(whole(asked(), ANSWER * 2))] == ["telegram", "unexpected_bytes"]


def test_nothing_is_believed_that_was_not_asked() -> None:
    assert merged(whole(RtuSession(), ANSWER)) == [("unexpected_bytes", ANSWER)]


def test_silence_without_bytes_says_nothing() -> None:
    session = asked()
    session.idle()
    assert not events(session)
    assert [verdict for verdict, _ in merged(whole(session, ANSWER))] == ["telegram"]


def test_bytes_after_silence_do_not_complete_what_was_before() -> None:
    session = asked()
    session.receive(ANSWER[:4])
    session.idle()
    session.receive(ANSWER[4:])
    assert not any(isinstance(event, Telegram) for event in events(session))


@pytest.mark.parametrize("flood", [b"\x00", b"\x11\x04\x04", b"\x11\x84", b"\x12\x04\x04", b"\x12\x04\xfa", b"\x11"])
def test_flood_is_bounded_and_does_not_hide_the_answer(flood: bytes) -> None:
    session = asked()
    data = flood * (20_000 // len(flood))
    for place in range(0, len(data), 4096):
        session.receive(data[place : place + 4096])
        assert len(session._buffer) <= session._buffer.limit
        events(session)
    assert isinstance(whole(session, ANSWER)[-1], Telegram)


@ways
@pytest.mark.parametrize("count", [1, 8, 9, 2000])
def test_bits_are_rounded_up_to_bytes(feed: Feed, count: int) -> None:
    size = (count + 7) // 8
    (event,) = feed(asked(Request("17", 2, "0", count)), encode_frame(17, bytes((2, size)) + b"\x55" * size))
    assert isinstance(event, Telegram)
    assert event.payload == b"\x55" * size
