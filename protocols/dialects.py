"""The table of protocols: what a channel's `protocol` may say. One line each; nothing else knows them all.

`mqtt-json` is not here: nobody asks a meter that pushes. What its messages say is in `payload`.
"""

from __future__ import annotations

from protocols.clockwork import Timekeeper
from protocols.dialect import Dialect
from protocols.dlt645.clock import DLT645_CLOCK
from protocols.dlt645.dialect import DLT645
from protocols.dlt645.events import DLT645_WITNESS
from protocols.modbus.dialect import MODBUS_RTU, MODBUS_TCP
from protocols.witness import Witness

DIALECTS: dict[str, Dialect] = {
    "dlt645": DLT645,
    "modbus-tcp": MODBUS_TCP,
    "modbus-rtu": MODBUS_RTU,
}

TIMEKEEPERS: dict[str, Timekeeper] = {
    "dlt645": DLT645_CLOCK,
}
"""Protocols whose meters' clocks can be read. A Modbus meter has none that every maker put in the same place."""

WITNESSES: dict[str, Witness] = {
    "dlt645": DLT645_WITNESS,
}
"""Protocols whose meters write down what happened to them."""
