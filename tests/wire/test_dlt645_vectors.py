"""Frames from other implementations, captures and articles: ours, and those beside the checkout where they are.

Each is fed whole, byte by byte, behind noise and before a tail, and must say the same every time. Values are compared as
decimals; the file beside the checkout writes JSON numbers, which are read as decimals too.
"""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from protocols.dialect import Decoded
from protocols.dlt645.answers import ADDRESS
from protocols.dlt645.dialect import DLT645
from protocols.dlt645.session import Dlt645Session
from protocols.errors import ProtocolError
from protocols.telegram import Garbage, Item, Request, Telegram
from tests.wire.slices import bytewise, to_the_end, whole

OWN = Path(__file__).parent / "vectors" / "dlt645.jsonl"
ROOT = Path(__file__).resolve().parents[2]
BESIDE = Path(os.environ.get("CHAOBIAO_CORPUS", ROOT.parent / "shared")) / "vectors" / "dl-t645-2007.jsonl"
NOISE = bytes.fromhex("00 68 11 22 FE 16 FF 68 12 34 56 78 90 12 68 91 C9")
"""Two false starts, each refuted by what it says."""


def rows(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text("utf-8").splitlines()
    return [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in lines]


def ids(row: dict[str, Any]) -> str:
    return f"{row['hex'].replace(' ', '')[-24:]}"


OURS = rows(OWN)
OTHERS = rows(BESIDE) if BESIDE.is_file() else []


def frames_of(decoded: list[Decoded]) -> list[Decoded]:
    return [one for one in decoded if isinstance(one.event, Telegram)]


def decode_every_way(frame: bytes) -> Decoded:
    """The one frame in these bytes, the same however it comes."""
    (first,) = DLT645.decode(frame)
    assert [first] == frames_of(DLT645.decode(NOISE + frame))
    assert [first] == DLT645.decode(frame + b"\xff\xff")
    assert first == frames_of(DLT645.decode(frame + NOISE + b"\x68\x00"))[0]
    assert [first, first] == DLT645.decode(frame + frame)
    return first


def answer_every_way(frame: bytes, said: Telegram) -> None:
    """As an answer, it reaches a session that asked for it, in whatever pieces."""
    if not said.function & 0x80 or said.function & 0x40:
        return
    asked = Request(said.address, said.function & 0x1F, said.detail.get("id", ""))
    for feed in (whole, bytewise):
        for before, behind in ((b"", b""), (NOISE, b""), (b"", b"\xff"), (NOISE, NOISE)):
            session = Dlt645Session()
            session.send(asked)
            found = to_the_end(session, before + frame + behind, feed)
            assert [event for event in found if isinstance(event, Telegram)] == [said]


# --- our own --------------------------------------------------------------------------------------------------------------


def shown(item: Item) -> list[Any]:
    value = None if item.value is None else str(item.value)
    return [item.id, value, item.unit if value is not None else item.reason]


@pytest.mark.parametrize("row", [row for row in OURS if "error" not in row], ids=ids)
def test_our_good_frames(row: dict[str, Any]) -> None:
    frame = bytes.fromhex(row["hex"])
    decoded = decode_every_way(frame)
    said = decoded.event
    assert isinstance(said, Telegram)
    assert (said.address, f"{said.function:02X}") == (row["address"], row["control"])
    assert said.detail.get("id") == row.get("id")
    assert row.get("detail", {}).items() <= said.detail.items()
    assert [shown(item) for item in decoded.items] == row.get("values", [])
    if "payload" in row:
        assert said.payload == bytes.fromhex(row["payload"])
    answer_every_way(frame, said)


@pytest.mark.parametrize("row", [row for row in OURS if "error" in row], ids=ids)
def test_our_bad_frames(row: dict[str, Any]) -> None:
    (only,) = DLT645.decode(bytes.fromhex(row["hex"]))
    assert isinstance(only.event, Garbage)
    assert only.event.error.code == row["error"]


def test_ours_are_enough_to_stand_alone() -> None:
    assert len(OURS) >= 25
    assert all(len(row["source"]) > 8 for row in OURS)
    assert sum("error" in row for row in OURS) >= 3


# --- those beside the checkout --------------------------------------------------------------------------------------------

beside = pytest.mark.skipif(not OTHERS, reason="no ../shared/vectors (or CHAOBIAO_CORPUS) beside this checkout")
_RELAY = ("PA", "P", "operator", "N1", "N1_meaning", "N2")


def check_values(meaning: dict[str, Any], decoded: Decoded) -> None:
    said = decoded.event
    assert isinstance(said, Telegram)
    if "length_note" in meaning:
        (item,) = decoded.items
        assert (item.value, item.reason, item.raw) == (None, "wrong_length", said.payload)
    elif "value" in meaning:
        (item,) = decoded.items
        told = meaning["value"]
        assert item.value == (told if isinstance(told, Decimal) else str(told))
        assert item.id == meaning.get("di", ADDRESS)
        if "unit" in meaning:
            assert item.unit == (meaning["unit"] or "1")
    if meaning["direction"] == "request":
        assert not decoded.items


@beside
@pytest.mark.parametrize("row", [row for row in OTHERS if row["checksum_ok"]], ids=ids)
def test_good_frames_beside_us(row: dict[str, Any]) -> None:
    frame, meaning = bytes.fromhex(row["hex"]), row["meaning"]
    decoded = decode_every_way(frame)
    said = decoded.event
    assert isinstance(said, Telegram)
    assert (said.address, f"{said.function:02X}") == (meaning["address"], meaning["control"])
    assert said.detail["name"] == meaning["function"]
    assert decoded.direction == meaning["direction"]
    assert (bool(said.function & 0x40), said.more) == (meaning["error"], meaning["follow"])
    assert said.frame == frame.lstrip(b"\xfe")
    assert said.frame[9] == meaning["len"]
    data = bytes.fromhex(meaning["data_minus_33"])
    assert said.payload == (data[4:] if "di" in meaning else data)
    assert said.detail.get("id") == meaning.get("di")
    assert said.detail.get("err") == meaning.get("err_word")
    assert {key: said.detail.get(key) for key in _RELAY if key in meaning} == {
        key: meaning[key] for key in _RELAY if key in meaning
    }
    if "valid_until" in meaning:
        wire = meaning["valid_until"].partition("=")[2].split()
        assert said.detail["valid_until"].translate({ord(mark): " " for mark in "-:"}).split() == wire[::-1]
    if "payload" in meaning:
        assert said.payload == bytes.fromhex(meaning["payload"])
    check_values(meaning, decoded)
    answer_every_way(frame, said)


@beside
@pytest.mark.parametrize("row", [row for row in OTHERS if not row["checksum_ok"]], ids=ids)
def test_bad_frames_beside_us(row: dict[str, Any]) -> None:
    frame = bytes.fromhex(row["hex"])
    for data in (frame, NOISE + frame, frame + NOISE, frame + frame):
        decoded = DLT645.decode(data)
        assert not frames_of(decoded)
        assert all(isinstance(one.event, Garbage) and isinstance(one.event.error, ProtocolError) for one in decoded)
        assert "bad_checksum" in {one.event.error.code for one in decoded if isinstance(one.event, Garbage)}


@beside
def test_all_that_is_beside_us_was_looked_at() -> None:
    assert len(OTHERS) >= 74
    assert sum(not row["checksum_ok"] for row in OTHERS) == 5
    assert sum("value" in row["meaning"] for row in OTHERS) == 22
