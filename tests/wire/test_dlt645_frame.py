"""Frames of DL/T 645 in a stream: the end is computed, never searched, and a good frame behind anything is found."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.buffer import DEFAULT_LIMIT
from protocols.dlt645.address import fits, full_address
from protocols.dlt645.frame import MAX_DATA, Frame, Framer, encode
from protocols.errors import BadChecksum, BadDigits, ProtocolError, RequestError, UnexpectedBytes, WrongLength
from protocols.telegram import Garbage

# 0.26 kWh, meter 161: hwhale.com/article/138066
GOOD = bytes.fromhex("68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16")
METER = "000000000161"
SAYS = (METER, 0x91, bytes.fromhex("00 00 01 00 26 00 00 00"))


def drained(framer: Framer) -> list[Frame | Garbage]:
    found = []
    while (event := framer.next()) is not None:
        found.append(event)
    return found


def found_in(*pieces: bytes, idle: bool = True) -> list[Frame | Garbage]:
    framer, found = Framer(), list[Frame | Garbage]()
    for piece in pieces:
        framer.receive(piece)
        found += drained(framer)
    if idle:
        framer.idle()
        found += drained(framer)
    return found


def bytewise(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


def frames(events: list[Frame | Garbage]) -> list[tuple[str, int, bytes]]:
    return [(event.address, event.control, event.data) for event in events if isinstance(event, Frame)]


def errors(events: list[Frame | Garbage]) -> list[type[ProtocolError]]:
    return [type(event.error) for event in events if isinstance(event, Garbage)]


# --- what is a frame ------------------------------------------------------------------------------------------------------


def test_encode_writes_what_is_read() -> None:
    assert encode(METER, 0x91, bytes.fromhex("00 00 01 00 26 00 00 00"), preamble=b"") == GOOD


@pytest.mark.parametrize("preamble", range(8))
@pytest.mark.parametrize("tail", [0, 1, 3])
def test_preamble_and_tail_are_no_noise(preamble: int, tail: int) -> None:
    data = b"\xfe" * preamble + GOOD + b"\xff" * tail
    for pieces in ([data], bytewise(data)):
        (frame,) = found_in(*pieces)
        assert frame == Frame(*SAYS, GOOD)


def test_68_and_16_inside_are_ordinary_bytes() -> None:
    frame = encode("161616686868", 0x91, bytes.fromhex("35 E3 16 68") * 4)
    assert frames(found_in(*bytewise(frame))) == [("161616686868", 0x91, bytes.fromhex("35 E3 16 68") * 4)]


@pytest.mark.parametrize("length", [0, 1, MAX_DATA])
def test_lengths_that_may_be(length: int) -> None:
    assert frames(found_in(encode("1", 0x91, bytes(length)))) == [("000000000001", 0x91, bytes(length))]


def test_a_frame_that_cannot_be_is_not_made() -> None:
    with pytest.raises(RequestError, match="201 bytes of data; a DL/T 645 frame holds 200"):
        encode("1", 0x91, bytes(MAX_DATA + 1))


def test_several_frames_in_a_row() -> None:
    assert frames(found_in(GOOD + b"\xfe\xfe" + GOOD + b"\xff" + GOOD)) == [SAYS] * 3


# --- what is none ---------------------------------------------------------------------------------------------------------


def changed(place: int, byte: int) -> bytes:
    return GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]


@pytest.mark.parametrize(
    ("data", "kind", "match"),
    [
        (changed(18, 0x8B), BadChecksum, "the sum is 8A, the frame says 8B at byte 18"),
        (changed(14, 0x5A), BadChecksum, "the sum is 8B, the frame says 8A"),
        (changed(19, 0x17), WrongLength, "no 16 where the length byte puts the end at byte 19"),
        (changed(9, 0x07), WrongLength, "no 16 where"),
        (changed(9, 0x09), WrongLength, "breaks off, 1 bytes short"),
        (changed(9, 201), WrongLength, "the length byte says 201, more than 200 at byte 9"),
        (changed(7, 0x67), UnexpectedBytes, "no second 68 behind the address at byte 7"),
        (changed(0, 0x67), UnexpectedBytes, None),
        (changed(2, 0x1B), BadDigits, "an address byte is 1B at byte 2"),
        (GOOD[:-1], WrongLength, "breaks off, 1 bytes short"),
        (GOOD[:5], WrongLength, "breaks off, 7 bytes short"),
        (GOOD[1:], UnexpectedBytes, None),
    ],
)
def test_each_lie_by_its_name(data: bytes, kind: type[ProtocolError], match: str | None) -> None:
    for pieces in ([data], bytewise(data)):
        found = found_in(*pieces)
        assert not frames(found)
        garbage = found[0]
        assert isinstance(garbage, Garbage)
        if match is not None:
            with pytest.raises(kind, match=match):
                raise garbage.error
        assert b"".join(event.data for event in found if isinstance(event, Garbage)) == data


# --- a good frame behind noise --------------------------------------------------------------------------------------------

NOISE = {
    "a false start that its content refutes": "68 11 22 FE FE FE FE",
    "a start without second 68": "68 12 34 56 78 90 12 67",
    "a length that cannot be": "68 12 34 56 78 90 12 68 91 C9",
    "a bad checksum": GOOD.hex() + "FF" + changed(18, 0x00).hex(),
    "no end": changed(19, 0x00).hex(),
    "the leading 68 twice": "68",
    "noise": "00 11 22 33 16",
    "its own tail": GOOD[7:].hex(),
    "many starts": "68" * 40,
}


@pytest.mark.parametrize("noise", [bytes.fromhex(text) for text in NOISE.values()], ids=list(NOISE))
def test_a_good_frame_behind_noise_is_found_without_silence(noise: bytes) -> None:
    data = noise + GOOD
    for pieces in ([data], bytewise(data)):
        assert frames(found_in(*pieces, b"\x00" * 120, idle=False))[-1] == SAYS


@pytest.mark.parametrize(
    "noise",
    [
        "68 12 34 56 78 90 12 68 91 C8",  # claims 200 bytes, and nothing refutes it
        "68 11 22 33 44 55",
        "68",
        "68 00 00 00 00 00 00 68 11 30 68 00 00 00 00 00 00 68 11 30",
    ],
)
def test_behind_a_false_start_that_nothing_refutes_silence_decides(noise: str) -> None:
    data = bytes.fromhex(noise) + GOOD
    for pieces in ([data], bytewise(data)):
        found = found_in(*pieces)
        assert frames(found) == [SAYS]
        assert isinstance(found[-1], Frame)


def test_without_silence_it_waits() -> None:
    framer = Framer()
    framer.receive(bytes.fromhex("68 12 34 56 78 90 12 68 91 C8") + GOOD)
    assert framer.next() is None
    framer.idle()
    assert isinstance(framer.next(), Garbage)
    assert isinstance(framer.next(), Frame)
    assert framer.next() is None


def test_silence_in_the_middle_ends_a_frame() -> None:
    framer = Framer()
    framer.receive(GOOD[:12])
    framer.idle()
    framer.receive(GOOD)
    assert errors(drained(framer)) == [WrongLength]


def test_a_broken_frame_and_its_rest_are_one_piece() -> None:
    """The second 68 of a short frame might begin a frame; it lies within what was refuted, and no second error is made of it."""
    short = bytes.fromhex("68 12 90 78 56 34 12 68 94 00 00 16")
    framer = Framer()
    framer.receive(short)
    assert framer.next() is None
    framer.idle()
    (garbage,) = drained(framer)
    assert isinstance(garbage, Garbage)
    assert (garbage.data, type(garbage.error)) == (short, BadChecksum)


# --- bounds and properties ------------------------------------------------------------------------------------------------


def test_a_flood_is_bounded_and_the_newest_survives() -> None:
    framer = Framer()
    for _ in range(50):
        framer.receive(b"\x68\x00" * 500)
    framer.receive(GOOD)
    held = len(framer._buffer) + len(framer._flood)
    assert held <= 2 * DEFAULT_LIMIT
    found = drained(framer)
    framer.idle()
    assert frames(found + drained(framer)) == [SAYS]


ADDRESSES = st.text("0123456789", min_size=12, max_size=12)
FRAMES = st.builds(
    lambda address, control, data: (address, control, data),
    ADDRESSES,
    st.integers(0, 255),
    st.binary(max_size=MAX_DATA),
)


@given(FRAMES, st.integers(0, 4))
def test_round_trip(frame: tuple[str, int, bytes], preamble: int) -> None:
    data = encode(*frame, preamble=b"\xfe" * preamble)
    assert frames(found_in(data, idle=False)) == [frame]


@given(FRAMES, st.data())
def test_every_flipped_bit_is_seen(frame: tuple[str, int, bytes], data: st.DataObject) -> None:
    """One bit changes the sum by a power of two, and never by a multiple of 256. In L it moves the end, and then a frame of
    other content is found only if a 16 and the right sum happen to stand there: that is for the session to refuse."""
    raw = bytearray(encode(*frame, preamble=b""))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1).filter(lambda bit: bit // 8 != 9))
    raw[bit // 8] ^= 1 << bit % 8
    assert frame not in frames(found_in(bytes(raw)))
    assert not any(event.raw == bytes(raw) for event in found_in(bytes(raw)) if isinstance(event, Frame))


def test_what_one_byte_of_sum_cannot_see() -> None:
    """Two changes that outweigh each other: why one frame alone never makes a value verified (reliability.md §1.10)."""
    lie = bytearray(GOOD)
    lie[14], lie[15] = lie[14] + 1, lie[15] - 1
    assert [data for _, _, data in frames(found_in(bytes(lie)))] == [bytes.fromhex("00 00 01 00 27 FF 00 00")]


@given(st.lists(st.binary(max_size=60) | st.just(GOOD) | st.sampled_from([b"\x68", GOOD[:9], b"\xfe"]), max_size=8))
def test_arbitrary_bytes_never_raise_and_none_is_kept_after_silence(pieces: list[bytes]) -> None:
    framer = Framer()
    for piece in pieces:
        framer.receive(piece)
        drained(framer)
    framer.idle()
    drained(framer)
    assert len(framer._buffer) == 0


@given(
    st.lists(
        st.binary(max_size=40)
        | st.just(GOOD)
        | FRAMES.map(lambda f: encode(*f))
        | st.sampled_from([b"\x68", GOOD[:9]]),
        max_size=4,
    ).map(b"".join),
    st.lists(st.integers(1, 30), min_size=1, max_size=60),
)
@example(bytes.fromhex("68 68") + GOOD, [1])
def test_pieces_are_as_the_whole(data: bytes, sizes: list[int]) -> None:
    pieces: list[bytes] = []
    place = 0
    while place < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[place : place + size])
        place += size
    assert frames(found_in(*pieces)) == frames(found_in(data))


@given(st.binary(max_size=150), FRAMES)
def test_a_good_frame_behind_any_noise_is_found(noise: bytes, frame: tuple[str, int, bytes]) -> None:
    found = frames(found_in(noise + encode(*frame)))
    # Noise may by chance begin a frame that reaches into the good one; it must then be a frame in every respect.
    assert frame in found or any(encode(*other, preamble=b"") in noise + encode(*frame) for other in found)


# --- addresses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "answered", "fit"),
    [
        ("161", "000000000161", True),
        ("161", "000000000162", False),
        ("AA0161", "000000000161", True),
        ("AA0161", "990000000161", True),
        ("AA0161", "000000001161", False),
        ("AAAAAAAAAAAA", "AAAAAAAAAAAA", True),
        ("161", "AAAAAAAAAAAA", False),
        ("999999999999", "000000000161", True),
    ],
)
def test_which_answers_fit_which_address(asked: str, answered: str, *, fit: bool) -> None:
    assert fits(full_address(asked), answered) is fit
