"""Frames that real meters sent, from the corpus beside the checkout (`../shared`, or CHAOBIAO_CORPUS)."""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from protocols.dialects import DIALECTS
from protocols.modbus.coding import coding
from protocols.telegram import Garbage, Request, Session, Telegram
from tests.house.sources import ROOT
from tests.wire.slices import Said, bytewise, merged, to_the_end, whole

FOLDER = Path(os.environ.get("CHAOBIAO_CORPUS", ROOT.parent / "shared")) / "corpus" / "modbus"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="no ../shared/corpus (or CHAOBIAO_CORPUS) beside this checkout"
)

NOISE = bytes.fromhex("00ff010104")


def pairs(name: str) -> list[dict[str, Any]]:
    if not (FOLDER / name).is_file():
        return []
    found: list[dict[str, Any]] = json.loads((FOLDER / name).read_text("utf-8"))
    return found


def asked_again(protocol: str, request: bytes) -> tuple[Session, bytes]:
    """The captured request, put anew by our own session; over TCP the captured transaction is the session's next."""
    dialect = DIALECTS[protocol]
    (decoded,) = dialect.decode(request)
    telegram = decoded.event
    assert isinstance(telegram, Telegram)
    assert decoded.direction == "request"
    session = dialect.session()
    question = Request(telegram.address, telegram.function, telegram.detail["id"], int(telegram.detail["count"]))
    sent = session.send(question)
    while protocol == "modbus-tcp" and sent[:2] != request[:2]:
        sent = session.send(question)
    return session, sent


@pytest.mark.parametrize("pair", pairs("rtu_frames.json"), ids=lambda pair: f"{pair['meter']} {pair['request']}")
def test_rtu(pair: dict[str, Any]) -> None:
    request, response = bytes.fromhex(pair["request"]), bytes.fromhex(pair["response"])
    session, sent = asked_again("modbus-rtu", request)
    assert sent == request
    if not pair["response_crc_ok"]:
        found = to_the_end(session, response, whole)
        assert not any(isinstance(event, Telegram) for event in found)
        assert merged(found) == ([("wrong_length", response)] if response else [])
        return
    for feed in (whole, bytewise):
        for before, after in ((b"", b""), (NOISE, b""), (b"", NOISE), (NOISE, NOISE)):
            session, _ = asked_again("modbus-rtu", request)
            found = to_the_end(session, before + response + after, feed)
            (telegram,) = telegrams(found)
            assert telegram.frame == response
            said = coding("float32").read(telegram.payload).value
            assert isinstance(said, Decimal)
            assert abs(said - Decimal(repr(pair["value_f32"]))) <= Decimal("0.0001")


@pytest.mark.parametrize(
    "pair", [one for one in pairs("tcp_frames.json") if one["response"]], ids=lambda pair: pair["request"]
)
def test_tcp(pair: dict[str, Any]) -> None:
    request, response = bytes.fromhex(pair["request"]), bytes.fromhex(pair["response"])
    for feed in (whole, bytewise):
        session, sent = asked_again("modbus-tcp", request)
        assert sent == request
        (telegram,) = telegrams(feed(session, response))
        assert telegram.payload == response[-2:]


def test_tcp_answer_of_the_transaction_before_is_refused() -> None:
    """The capture is of a session in which, after a drop-out, every answer was taken for the next question's."""
    first, second = pairs("tcp_frames.json")[:2]
    session, sent = asked_again("modbus-tcp", bytes.fromhex(second["request"]))
    assert sent == bytes.fromhex(second["request"])
    (event,) = whole(session, bytes.fromhex(first["response"]))
    assert isinstance(event, Garbage)
    assert event.error.code == "wrong_transaction"


def telegrams(found: Said) -> list[Telegram]:
    return [event for event in found if isinstance(event, Telegram)]
