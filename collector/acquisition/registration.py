"""Who is it that dials in? Modems and concentrators say it first: a registration packet, or the first frame of their own.

Pure. An identity is recognised where a packet begins with it, behind heartbeats and line ends. Two devices may have
identities of which one begins the other ("47" and "4712"): the longest that fits counts, and a text is not taken for the
beginning of a longer word, so that 4712 is never read through the modem of 47123.
"""

from __future__ import annotations

from collections.abc import Collection

LINE_ENDS = b"\r\n\0"


def recognise(
    packet: bytes, identities: Collection[bytes], heartbeats: Collection[bytes], *, whole: bool
) -> bytes | None:
    """The identity that this packet tells; None if it tells none (yet).

    `whole`: nothing more comes. Before that, what further bytes might change is not decided.
    """
    rest = packet
    while rest:
        found = max((one for one in identities if _tells(rest, one, heartbeats)), key=len, default=None)
        if found is not None:
            return None if not whole and _open(rest, found, identities) else found
        behind = _behind(rest, heartbeats)
        if behind == rest:
            return None
        rest = behind
    return None


def begins(packet: bytes, identities: Collection[bytes]) -> bool:
    """Whether more bytes may make an identity of it."""
    return any(one.startswith(packet) for one in identities)


def _tells(packet: bytes, identity: bytes, heartbeats: Collection[bytes]) -> bool:
    if not packet.startswith(identity):
        return False
    following = packet[len(identity) :]
    longer_word = _is_word(identity) and following[:1].isalnum()
    return not longer_word or any(following.startswith(one) for one in heartbeats)


def _is_word(identity: bytes) -> bool:
    """Printable text whose last character could stand inside a longer word."""
    return all(0x20 <= byte < 0x7F for byte in identity) and identity[-1:].isalnum()


def _open(packet: bytes, found: bytes, identities: Collection[bytes]) -> bool:
    if packet == found and _is_word(found):
        return True  # a longer word may be on its way
    return any(len(one) > len(packet) and one.startswith(packet) for one in identities)


def _behind(packet: bytes, heartbeats: Collection[bytes]) -> bytes:
    for heartbeat in heartbeats:
        if packet.startswith(heartbeat):
            return packet[len(heartbeat) :]
    return packet.lstrip(LINE_ENDS)
