"""What holds for any bytes at all: the same verdicts for every slicing, no byte lost, nothing believed that is not proven."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from protocols.buffer import DEFAULT_LIMIT
from protocols.dialects import DIALECTS
from protocols.errors import Refused
from protocols.modbus import rtu, tcp
from protocols.modbus.pdu import (
    MAX_COUNT,
    Answer,
    Question,
    Refusal,
    answer_size,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
)
from protocols.telegram import Garbage, NeedMore, Request, Session, Telegram
from tests.wire.slices import bytewise, events, merged, pieces, to_the_end, whole

UNIT, FUNCTION, START, COUNT = 17, 4, 72, 2
QUESTION = Request(str(UNIT), FUNCTION, str(START), COUNT)
PAYLOAD = bytes.fromhex("449A5000")
PDU = encode_answer(Answer(FUNCTION, PAYLOAD))
NO = encode_answer(Refusal(FUNCTION, 2))

Frame = Callable[[int, bytes], bytes]


def in_rtu(unit: int, pdu: bytes) -> bytes:
    return rtu.encode_frame(unit, pdu)


def in_tcp(unit: int, pdu: bytes) -> bytes:
    return tcp.encode_frame(1, unit, pdu)


FRAMES: dict[str, Frame] = {"modbus-rtu": in_rtu, "modbus-tcp": in_tcp}
framings = pytest.mark.parametrize("name", FRAMES)


def asked(name: str) -> Session:
    session = DIALECTS[name].session()
    session.send(QUESTION)
    return session


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """`data` in pieces."""
    places = st.lists(st.integers(0, len(data)), max_size=8).map(sorted)
    return places.map(lambda at: [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)])


@st.composite
def streams(draw: st.DrawFn, name: str) -> bytes:
    """Right answers, wrong ones, refusals, cut ones, flipped ones, and noise that looks like them, in any order."""
    frame = FRAMES[name]
    whole_frames = [
        frame(UNIT, PDU),
        frame(UNIT, NO),
        frame(UNIT + 1, PDU),
        frame(UNIT, PDU[:2] + PDU),
        frame(UNIT, b"\x03" + PDU[1:]),
        DIALECTS[name].session().send(QUESTION),
    ]
    if name == "modbus-tcp":
        whole_frames += [tcp.encode_frame(other, UNIT, PDU) for other in (0, 2)]
    beginnings = [b"\x11", b"\x11\x04", b"\x11\x04\x04", b"\x11\x84"]
    parts = []
    for _ in range(draw(st.integers(1, 6))):
        part = draw(st.sampled_from(whole_frames + beginnings) | st.binary(max_size=12))
        match draw(st.sampled_from(["as it is", "cut", "flipped"])):
            case "cut":
                part = part[: draw(st.integers(0, len(part)))]
            case "flipped" if part:
                place, bit = draw(st.integers(0, len(part) - 1)), draw(st.integers(0, 7))
                part = part[:place] + bytes((part[place] ^ 1 << bit,)) + part[place + 1 :]
        parts.append(part)
    return b"".join(parts)


@given(st.sampled_from(sorted(MAX_COUNT)), st.data())
def test_what_is_encoded_is_decoded(function: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, MAX_COUNT[function]))
    question = Question(function, data.draw(st.integers(0, 0x10000 - count)), count)
    assert decode_question(encode_question(question)) == question
    size = answer_size(function, count)
    answer = Answer(function, data.draw(st.binary(min_size=size, max_size=size)))
    assert decode_answer(encode_answer(answer)) == answer
    refusal = Refusal(function, data.draw(st.integers(0, 255)))
    assert decode_answer(encode_answer(refusal)) == refusal


@framings
@given(data=st.data())
def test_every_slicing_gives_the_same_verdicts(name: str, data: st.DataObject) -> None:
    stream = data.draw(streams(name))
    parts = data.draw(cuts(stream))
    expected = merged(to_the_end(asked(name), stream, whole))
    assert merged(to_the_end(asked(name), stream, bytewise)) == expected
    assert merged(to_the_end(asked(name), stream, lambda session, _: pieces(session, iter(parts)))) == expected


@framings
@given(data=st.data())
def test_no_byte_is_lost(name: str, data: st.DataObject) -> None:
    stream = data.draw(streams(name))
    found = merged(to_the_end(asked(name), stream, whole))
    assert b"".join(piece for _, piece in found) == stream


@given(stream=streams("modbus-rtu"), after=st.booleans())
def test_rtu_always_finds_the_answer_behind_the_silence(stream: bytes, after: bool) -> None:
    session = asked("modbus-rtu")
    before = to_the_end(session, stream, whole)
    over = any(isinstance(event, Telegram) or isinstance(event.error, Refused) for event in before)
    found = whole(session, in_rtu(UNIT, PDU) + (b"\xff" if after else b""))
    assert any(isinstance(event, Telegram) for event in found) != over


@framings
@given(data=st.data())
def test_any_bytes_in_any_order_with_any_silence(name: str, data: st.DataObject) -> None:
    """Nothing is raised, the buffer is bounded, and a Telegram is proven by checks that are not the session's own."""
    session = asked(name)
    step = st.binary(max_size=40) | st.binary(min_size=1000, max_size=3000) | st.none() | streams(name)
    for said in data.draw(st.lists(step, max_size=12)):
        if said is None:
            session.idle()
        else:
            session.receive(said)
        for event in events(session):
            if isinstance(event, Telegram):
                prove(name, event.frame)
        assert held(session) <= DEFAULT_LIMIT


@framings
def test_memory_is_bounded_even_if_nobody_asks(name: str) -> None:
    session = asked(name)
    for _ in range(50):
        session.receive(b"\x11\x04" * 1000)
    assert held(session) <= DEFAULT_LIMIT
    assert sum(len(piece) for _, piece in merged(events(session))) <= 2 * DEFAULT_LIMIT


def held(session: Session) -> int:
    return len(session._buffer)  # type: ignore[attr-defined]


def prove(name: str, frame: bytes) -> None:
    """Byte for byte what the question allows, by arithmetic of pymodbus where there is some."""
    if name == "modbus-rtu":
        assert frame[:3] == bytes((UNIT, FUNCTION, 2 * COUNT))
        assert len(frame) == 5 + 2 * COUNT
        assert FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))
    else:
        assert frame[:9] == bytes((0, 1, 0, 0, 0, 3 + 2 * COUNT, UNIT, FUNCTION, 2 * COUNT))
        assert len(frame) == 9 + 2 * COUNT


@pytest.mark.parametrize("pdu", [PDU, NO], ids=["answer", "refusal"])
def test_no_flipped_bit_passes_rtu(pdu: bytes) -> None:
    frame = in_rtu(UNIT, pdu)
    for bit in range(8 * len(frame)):
        wrong = (int.from_bytes(frame, "big") ^ 1 << bit).to_bytes(len(frame), "big")
        found = to_the_end(asked("modbus-rtu"), wrong, whole)
        assert found
        assert all(isinstance(event, Garbage) and not isinstance(event.error, Refused) for event in found)
        assert not any(isinstance(one.event, Telegram) for one in DIALECTS["modbus-rtu"].decode(wrong))


@given(st.binary(min_size=2, max_size=250), st.data())
def test_no_two_flipped_bits_pass_the_checksum(body: bytes, data: st.DataObject) -> None:
    frame = body + rtu.checksum(body).to_bytes(2, "little")
    assert rtu.is_sound(frame)
    bits = data.draw(st.lists(st.integers(0, 8 * len(frame) - 1), min_size=1, max_size=2, unique=True))
    wrong = int.from_bytes(frame, "big")
    for bit in bits:
        wrong ^= 1 << bit
    assert not rtu.is_sound(wrong.to_bytes(len(frame), "big"))


@framings
@pytest.mark.parametrize("pdu", [PDU, NO], ids=["answer", "refusal"])
def test_no_truncation_passes(name: str, pdu: bytes) -> None:
    frame = FRAMES[name](UNIT, pdu)
    for cut in range(1, len(frame)):
        session = asked(name)
        assert whole(session, frame[:cut]) == []
        session.idle()
        assert [verdict for verdict, _ in merged(events(session))] == ["wrong_length"]


@given(data=st.data())
def test_tcp_waits_only_for_what_can_still_come(data: st.DataObject) -> None:
    """'Not yet complete' is said of the beginnings of the answer and of a refusal, and of nothing else."""
    good = in_tcp(UNIT, PDU)
    no = in_tcp(UNIT, NO)[:-1]
    start = data.draw(st.sampled_from([good, no]))
    start = start[: data.draw(st.integers(1, len(start)))]
    if data.draw(st.booleans()):
        place, byte = data.draw(st.integers(0, len(start) - 1)), data.draw(st.integers(0, 255))
        start = start[:place] + bytes((byte,)) + start[place + 1 :]
    hopeful = (len(start) < len(good) and good[:9].startswith(start[:9])) or no.startswith(start)
    # A foreign transaction is named once its frame's length is known; until then it may also be noise.
    early = len(start) < 6 and not any(start[2:5])
    session = asked("modbus-tcp")
    session.receive(start)
    assert isinstance(session.next_event(), NeedMore) == (hopeful or early)


@framings
@given(data=st.data())
def test_a_dump_of_any_bytes_is_told_whole(name: str, data: st.DataObject) -> None:
    dump = data.draw(streams(name) | st.binary(max_size=64))
    found = [one.event for one in DIALECTS[name].decode(dump)]
    assert b"".join(event.frame if isinstance(event, Telegram) else event.data for event in found) == dump
