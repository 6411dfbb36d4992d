"""What control bytes and error words say. Function numbers of 2007 with those of 1997 beside them, so that a dump can be read.

Sources: public tables of DL/T 645-2007 clause 5.2.5 and appendix A (protocols with both: KTS-Intek/DLT645, the package
dlt645); 1DH and 03H are not confirmed by a source at hand.
"""

from __future__ import annotations

from protocols.dlt645.frame import Frame

READ, FOLLOW_UP, READ_ADDRESS, WRITE, RELAY = 0x11, 0x12, 0x13, 0x14, 0x1C
BROADCAST_TIME = 0x08
FUNCTIONS = {
    0x01: "read data (1997)",
    0x02: "read follow-up (1997)",
    0x03: "security authentication (2007), read again (1997)",
    0x04: "write data (1997)",
    BROADCAST_TIME: "broadcast time",
    0x0A: "write address (1997)",
    0x0C: "change baud rate (1997)",
    0x0F: "change password (1997)",
    0x10: "clear demand (1997)",
    READ: "read data",
    FOLLOW_UP: "read follow-up",
    READ_ADDRESS: "read address",
    WRITE: "write data",
    0x15: "write address",
    0x16: "freeze",
    0x17: "change baud rate",
    0x18: "change password",
    0x19: "clear demand",
    0x1A: "clear meter",
    0x1B: "clear events",
    RELAY: "relay control",
    0x1D: "select multi-function output",
}
ERRORS = (
    "other error",
    "no requested data",
    "wrong password or no authority",
    "baud rate cannot be changed",
    "too many year zones",
    "too many day slots",
    "too many tariffs",
    "bit 7",
)
"""Bit 0 first; the same in both editions."""
RELAY_COMMANDS = {
    0x1A: "trip",
    0x1B: "allow close",
    0x1C: "direct close",
    0x2A: "alarm on",
    0x2B: "alarm off",
    0x3A: "keep supply",
    0x3B: "end keeping supply",
}
"""N1 of function 1CH; 1A and 1B seen in real frames, the rest unconfirmed."""
RELAY_LENGTH = 16
_WITH_IDENTIFIER = (READ, FOLLOW_UP, WRITE)
IDENTIFIER_LENGTH = 4


def name_of(function: int) -> str:
    """The function in words."""
    return FUNCTIONS.get(function, f"function {function:02X}")


def error_text(word: bytes) -> str:
    """`"no requested data (02)"`."""
    if not word:
        return "no error word"
    bits = [text for bit, text in enumerate(ERRORS) if word[0] >> bit & 1]
    return f"{', '.join(bits) or 'no bit set'} ({word.hex().upper()})"


def relay_detail(data: bytes) -> dict[str, str]:
    """What a relay command (1CH) says, each as the standard writes it; the password stands as it does on the wire."""
    if len(data) != RELAY_LENGTH:
        return {}
    until = data[:9:-1].hex()
    return {
        "PA": data[:1].hex().upper(),
        "P": data[1:4].hex().upper(),
        "operator": data[7:3:-1].hex().upper(),
        "N1": data[8:9].hex().upper(),
        "N1_meaning": RELAY_COMMANDS.get(data[8], "unknown"),
        "N2": data[9:10].hex().upper(),
        "valid_until": "{}{}-{}{}-{}{} {}{}:{}{}:{}{}".format(*until),
    }


def identifier(frame: Frame) -> str | None:
    """DI3 DI2 DI1 DI0 as the standard writes them (`"00010000"`), where a frame of this function begins with them."""
    if frame.is_error or frame.function not in _WITH_IDENTIFIER or len(frame.data) < IDENTIFIER_LENGTH:
        return None
    return frame.data[:IDENTIFIER_LENGTH][::-1].hex().upper()
