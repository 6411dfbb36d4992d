"""Who dials in: what is taken for an identity, and what is not."""

from __future__ import annotations

import pytest

from collector.acquisition.registration import begins, recognise

IDENTITIES = [b"4712", b"47", b"GPRS-1", b"\x68\x01\x02", b"\x68\x01\x02\x03", b"\xfe\x01"]
HEARTBEATS = [b"\xfe", b"ping"]


@pytest.mark.parametrize(
    ("packet", "identity"),
    [
        (b"4712", b"4712"),
        (b"4712\r\n", b"4712"),
        (b"\r\n4712", b"4712"),
        (b"4712,signal=21", b"4712"),
        (b"47", b"47"),
        (b"47 12", b"47"),
        (b"\xfe\xfe4712", b"4712"),
        (b"pingping4712ping", b"4712"),
        (b"\xfe\x01", b"\xfe\x01"),  # an identity that begins with the heartbeat of another
        (b"\x68\x01\x02\x03\x04", b"\x68\x01\x02\x03"),
        (b"\x68\x01\x02\x04", b"\x68\x01\x02"),
        (b"GPRS-1", b"GPRS-1"),
    ],
)
def test_an_identity_is_recognised(packet: bytes, identity: bytes) -> None:
    assert recognise(packet, IDENTITIES, HEARTBEATS, whole=True) == identity


@pytest.mark.parametrize(
    "packet", [b"", b"47123", b"471", b"GPRS-12", b"X4712", b"ping", b"\xfe", b"hello 4712", b"\r\n", b"\x68\x01"]
)
def test_a_stranger_is_not(packet: bytes) -> None:
    """The neighbour whose number begins like ours least of all: a Modbus answer would not give him away."""
    assert recognise(packet, IDENTITIES, HEARTBEATS, whole=True) is None


@pytest.mark.parametrize(
    ("first", "second", "identity"),
    [
        (b"47", b"12 ", b"4712"),
        (b"4712", b"3", None),
        (b"\x68\x01\x02", b"\x03", b"\x68\x01\x02\x03"),
        (b"\xfe", b"\x01", b"\xfe\x01"),
        (b"4", b"7\r\n", b"47"),
    ],
)
def test_what_more_bytes_may_change_is_not_decided_yet(first: bytes, second: bytes, identity: bytes | None) -> None:
    assert recognise(first, IDENTITIES, HEARTBEATS, whole=False) is None
    assert recognise(first + second, IDENTITIES, HEARTBEATS, whole=True) == identity


def test_what_cannot_change_any_more_is_decided_at_once() -> None:
    assert recognise(b"4712\r\n", IDENTITIES, HEARTBEATS, whole=False) == b"4712"
    assert recognise(b"\x68\x01\x02\x03", IDENTITIES, HEARTBEATS, whole=False) == b"\x68\x01\x02\x03"


def test_the_beginning_of_an_identity() -> None:
    assert begins(b"GP", IDENTITIES)
    assert not begins(b"GX", IDENTITIES)
