"""Device identification (Modbus function 43, MEI 14): what a device says it is, for `probe`; the door to pymodbus.

Not on the way of readings: it is asked once, by hand, on a connection of its own. Most meters do not know the function, so
"why not" is an answer like any other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

log = logging.getLogger(__name__)
logging.getLogger("pymodbus").setLevel(
    logging.CRITICAL
)  # what it has to say is the answer's `why_not`, in one sentence

Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

BASIC = 1
"""Read device id code: the three mandatory objects (MODBUS Application Protocol V1.1b3 §6.21)."""
VENDOR, PRODUCT, REVISION = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Identification:
    """What the device says of itself; `why_not` where it does not."""

    vendor: str = ""
    product: str = ""
    revision: str = ""
    why_not: str = ""


async def identify(host: str, port: int, unit: int, *, timeout_s: float = 2.0) -> Identification:
    """Ask once. Never raises for what the device or the network does."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(partial(_passed_over, before))
    client = AsyncModbusTcpClient(host, port=port, timeout=timeout_s, retries=0, reconnect_delay=0)
    try:
        if not await client.connect():
            return Identification(why_not=f"no connection to {host}:{port}")
        answer = await client.read_device_information(read_code=BASIC, device_id=unit)
    except ModbusException as error:
        log.debug("function 43: %s", error)
        return Identification(why_not=f"no answer to function 43 within {timeout_s:g} s")
    finally:
        client.close()
        loop.set_exception_handler(before)
    if isinstance(answer, ExceptionResponse):
        return Identification(why_not=f"the device refuses function 43: exception {answer.exception_code}")
    if not isinstance(answer, ReadDeviceInformationResponse):
        return Identification(why_not=f"the device answers function 43 with function {answer.function_code}")
    said = answer.information
    return Identification(_text(said.get(VENDOR)), _text(said.get(PRODUCT)), _text(said.get(REVISION)))


def _passed_over(before: Handler | None, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What pymodbus cannot read it raises into the loop, with a traceback on the terminal; to us it is no answer."""
    if isinstance(context.get("exception"), ModbusException):
        log.debug("function 43: %s", context["exception"])
    elif before is not None:
        before(loop, context)
    else:
        loop.default_exception_handler(context)


def _text(value: object) -> str:
    """Bytes from a stranger as one printable line; an object that is sent in pieces comes as a list."""
    if isinstance(value, list):
        return " ".join(_text(piece) for piece in value)
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else ""
    return "".join(character if character.isprintable() else " " for character in text).strip()
