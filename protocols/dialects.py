"""The table of protocols: what a channel's `protocol` may say. One line each; nothing else knows them all."""

from __future__ import annotations

from protocols.dialect import Dialect
from protocols.modbus.dialect import MODBUS_TCP

DIALECTS: dict[str, Dialect] = {
    "modbus-tcp": MODBUS_TCP,
from protocols.dlt645.dialect import Dlt645Dialect

DIALECTS: dict[str, Dialect] = {
    "dlt645": Dlt645Dialect(),
}
