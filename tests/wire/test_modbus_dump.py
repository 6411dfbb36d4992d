"""`decode` of Modbus bytes: both directions, both framings, and what is wrong with what is no frame."""

import pytest

from protocols.dialect import Decoded
from protocols.dialects import DIALECTS
from protocols.modbus import rtu, tcp
from protocols.telegram import Garbage, Telegram

REQUEST, ANSWER = bytes.fromhex("0104016a0002502b"), bytes.fromhex("01040445a226c71498")
TCP_REQUEST, TCP_ANSWER = bytes.fromhex("07ee00000006000303960001"), bytes.fromhex("07ee000000050003020033")


def decode_rtu(data: bytes) -> list[Decoded]:
    return DIALECTS["modbus-rtu"].decode(data)


def decode_tcp(data: bytes) -> list[Decoded]:
    return DIALECTS["modbus-tcp"].decode(data)


def said(found: list[Decoded]) -> list[tuple[str, bytes]]:
    """Direction or reason, and the bytes."""
    return [
        (one.direction, one.event.frame) if isinstance(one.event, Telegram) else (one.event.error.code, one.event.data)
        for one in found
    ]


def values(decoded: Decoded) -> list[tuple[str, str]]:
    return [(item.id, str(item.value)) for item in decoded.items]


def test_a_question_and_its_answer() -> None:
    """Captured: github.com/volkszaehler/mbmd/issues/89."""
    question, answer = decode_rtu(REQUEST + ANSWER)
    assert (question.direction, answer.direction) == ("request", "answer")
    assert isinstance(question.event, Telegram)
    assert (question.event.address, question.event.function) == ("1", 4)
    assert question.event.detail == {"id": "362", "count": "2"}
    assert values(answer) == [("362", str(0x45A2)), ("363", str(0x26C7))]


def test_an_answer_alone_counts_from_0() -> None:
    (answer,) = decode_rtu(ANSWER)
    assert values(answer) == [("0", str(0x45A2)), ("1", str(0x26C7))]


def test_an_answer_to_another_question_does_not_take_its_addresses() -> None:
    other = rtu.encode_frame(2, bytes.fromhex("04040000002a"))
    assert values(decode_rtu(REQUEST + other)[1])[0][0] == "0"


def test_tcp_captured() -> None:
    """github.com/home-assistant/core/issues/138077: register 0x0396 is 51."""
    question, answer = decode_tcp(TCP_REQUEST + TCP_ANSWER)
    assert (question.direction, answer.direction) == ("request", "answer")
    assert values(answer) == [(str(0x0396), "51")]


def test_a_question_that_begins_with_a_sound_answer() -> None:
    """9B 01 02 59 02 5A 71 is sound, and stays so with a zero behind it; found by comparing with pymodbus."""
    assert [one.direction for one in decode_rtu(bytes.fromhex("9b010259025a7100"))] == ["request"]


def test_noise_between_frames() -> None:
    found = decode_rtu(b"\xff\xfe" + REQUEST + b"\x00" + ANSWER + b"\x01")
    assert said(found) == [
        ("unexpected_bytes", b"\xff\xfe"),
        ("request", REQUEST),
        ("unexpected_bytes", b"\x00"),
        ("answer", ANSWER),
        ("unexpected_bytes", b"\x01"),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ANSWER[:-1] + b"\x00", "bad_checksum"),
        (REQUEST[:-1] + b"\x00", "bad_checksum"),
        (ANSWER[:-1], "wrong_length"),
        (REQUEST[:-1], "wrong_length"),
        (b"\x01", "unexpected_bytes"),
        (b"\x01\x04\x03\x00\x00", "unexpected_bytes"),
        (bytes.fromhex("ffffffffffffffff"), "unexpected_bytes"),
    ],
)
def test_no_rtu_frame(data: bytes, reason: str) -> None:
    assert said(decode_rtu(data)) == [(reason, data)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (TCP_ANSWER[:-1], "wrong_length"),
        (TCP_ANSWER[:5], "wrong_length"),
        (b"\xff" * 12, "unexpected_bytes"),
        (bytes.fromhex("000100000001 01 0400"), "unexpected_bytes"),
        (bytes.fromhex("000100000005 01 04040001"), "wrong_length"),
        (bytes.fromhex("000100000006 01 0403000102"), "wrong_length"),
        (bytes.fromhex("000100000006 01 0400000000"), "wrong_length"),
        (bytes.fromhex("000100000006 01 04FFFF0002"), "wrong_length"),
        (bytes.fromhex("000100010005 01 04020001"), "unexpected_bytes"),
        (bytes.fromhex("000100000002 01 04"), "wrong_length"),
        (bytes.fromhex("000100000004 01 840200"), "wrong_length"),
    ],
)
def test_no_tcp_frame(data: bytes, reason: str) -> None:
    assert said(decode_tcp(data)) == [(reason, data)]


@pytest.mark.parametrize(("number", "code"), [(2, "exception_2"), (11, "gateway_no_answer")])
def test_refusal_is_a_good_frame(number: int, code: str) -> None:
    pdu = bytes((0x84, number))
    for found in (decode_rtu(rtu.encode_frame(9, pdu)), decode_tcp(tcp.encode_frame(1, 9, pdu))):
        (decoded,) = found
        assert isinstance(decoded.event, Telegram)
        assert (decoded.event.address, decoded.event.detail) == ("9", {"refused": code})


@pytest.mark.parametrize("pdu", ["06000A0001", "10000A0002", "2B0E0100", "1100"])
def test_what_we_do_not_speak_is_shown_raw(pdu: str) -> None:
    raw = bytes.fromhex(pdu)
    for found in (decode_rtu(rtu.encode_frame(9, raw)), decode_tcp(tcp.encode_frame(1, 9, raw))):
        (decoded,) = found
        assert isinstance(decoded.event, Telegram)
        assert decoded.event.function == raw[0]
        assert [(item.value, item.raw, item.reason) for item in decoded.items] == [(None, raw, "unknown")]


def test_bits() -> None:
    """Coils 19 to 27 as in the Application Protocol's example of function 1: CD 6B, and what fills the last byte."""
    question, answer = bytes.fromhex("010013000A"), bytes.fromhex("0102CD01")
    found = decode_tcp(tcp.encode_frame(5, 1, question) + tcp.encode_frame(5, 1, answer))
    assert "".join(str(item.value) for item in found[1].items) == "1011001110000000"
    assert values(found[1])[0] == ("19", "1")


def test_three_bytes_of_bits_are_an_answer_only_behind_their_question() -> None:
    pdu = bytes.fromhex("0103000008")
    alone = decode_tcp(tcp.encode_frame(5, 1, pdu))
    assert [one.direction for one in alone] == ["request"]
    pair = decode_tcp(tcp.encode_frame(5, 1, bytes.fromhex("0100000014")) + tcp.encode_frame(5, 1, pdu))
    assert [one.direction for one in pair] == ["request", "answer"]


def test_nothing_is_nothing() -> None:
    assert decode_rtu(b"") == []
    assert decode_tcp(b"") == []


def test_garbage_names_bytes_and_place() -> None:
    (decoded,) = decode_tcp(bytes.fromhex("000100000005 01 04040001"))
    assert isinstance(decoded.event, Garbage)
    assert decoded.event.error.data == decoded.event.data
    assert decoded.event.error.position == 8


def test_a_long_dump_of_noise_costs_no_more_than_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Function 41h is none that we speak: each place could begin a frame that ends where the dump ends."""
    checked = 0

    def is_sound(frame: bytes) -> bool:
        nonlocal checked
        checked += len(frame)
        return rtu.is_sound(frame)

    monkeypatch.setattr("protocols.modbus.dump.is_sound", is_sound)
    data = b"\x01\x41" * 10_000
    (found,) = DIALECTS["modbus-rtu"].decode(data)
    assert found.event.data == data if isinstance(found.event, Garbage) else False
    assert checked < 300 * len(data)  # a frame has 256 bytes at most
