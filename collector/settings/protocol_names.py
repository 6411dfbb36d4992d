"""Protocols by the names that a channel gives them: which profiles they can read, over which links.

A protocol whose frames are told apart by silence needs a link that keeps it (any byte stream); Modbus TCP frames say their
own length and come over TCP only; `mqtt-json` is messages, not a stream. `protocols.dialects` is what drives them; a test
holds the two tables together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ProtocolName = Literal["modbus-rtu", "modbus-tcp", "dlt645", "mqtt-json"]


@dataclass(frozen=True, slots=True)
class ProtocolWays:
    """`family`: what profiles call it. `schemes`: links that carry it."""

    family: str
    schemes: tuple[str, ...]


_STREAMS = ("serial", "tcp", "listen", "rfc2217", "mqtt-tunnel")

WAYS: Mapping[str, ProtocolWays] = {
    "modbus-rtu": ProtocolWays("modbus", _STREAMS),
    "modbus-tcp": ProtocolWays("modbus", ("tcp", "listen")),
    "dlt645": ProtocolWays("dlt645", _STREAMS),
    "mqtt-json": ProtocolWays("mqtt-json", ("mqtt",)),
}
