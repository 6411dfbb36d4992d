"""The weak variant of a session: any frame with a sound checksum is the answer, whoever it is from and whatever it is about.

As clients do that look at the checksum alone (libmodbus#135). The product has no such session; with it the tests of wrong
answers must fail, or they would prove nothing.
"""

from __future__ import annotations

from dataclasses import replace

from protocols.errors import BadChecksum
from protocols.modbus.dialect import MODBUS_RTU, MODBUS_TCP
from protocols.modbus.rtu_session import RtuSession
from protocols.modbus.tcp import TcpSession
from protocols.telegram import Event, Garbage, NeedMore, Request, Telegram
from tests.links.late_device import crc


class BelievingRtu:
    """Takes what came as one frame as soon as its checksum fits; with `check` off even if it does not."""

    check = True
    expects = 0

    def __init__(self) -> None:
        self._inner = RtuSession()
        self._asked: Request | None = None
        self._held = b""

    def send(self, request: Request) -> bytes:
        self._asked, self._held = request, b""
        return self._inner.send(request)

    def receive(self, data: bytes) -> None:
        self._held += data

    def idle(self) -> None:
        """Nothing depends on silence."""

    def next_event(self) -> Event:
        held, asked = self._held, self._asked
        if asked is None or len(held) < 5:
            return NeedMore()
        length = held[2] + 5 if self.check else 2 * asked.count + 5
        if len(held) < min(length, 2 * asked.count + 5):
            return NeedMore()
        frame, self._held = held[:length], b""
        if self.check and crc(frame[:-2]) != frame[-2:]:
            return Garbage(frame, BadChecksum(data=frame))
        words = frame[3:-2].ljust(2 * asked.count, b"\x00")[: 2 * asked.count]
        return Telegram(asked.address, asked.function, words, frame)


class UncheckedRtu(BelievingRtu):
    """Not even the checksum is looked at."""

    check = False


class ForgetfulRtu(BelievingRtu):
    """What one read brings is the answer or nothing."""

    def receive(self, data: bytes) -> None:
        self._held = data


class BelievingTcp:
    """Whatever transaction, unit and function an answer names, it is taken for ours."""

    keep = False
    expects = 0

    def __init__(self) -> None:
        self._inner = TcpSession()
        self._asked: Request | None = None
        self._held = b""

    def send(self, request: Request) -> bytes:
        self._asked, self._held = request, self._held if self.keep else b""
        return self._inner.send(request)

    def receive(self, data: bytes) -> None:
        self._held += data

    def idle(self) -> None:
        """Nothing depends on silence."""

    def next_event(self) -> Event:
        held, asked = self._held, self._asked
        if asked is None or len(held) < 9 or len(held) < 6 + held[5]:
            return NeedMore()
        frame, self._held = held[: 6 + held[5]], held[6 + held[5] :]
        words = frame[9:].ljust(2 * asked.count, b"\x00")[: 2 * asked.count]
        return Telegram(asked.address, asked.function, words, frame)


class GluingTcp(BelievingTcp):
    """And half an answer is kept for the next question."""

    keep = True


BELIEVING_RTU = replace(MODBUS_RTU, open_session=BelievingRtu)
FORGETFUL_RTU = replace(MODBUS_RTU, open_session=ForgetfulRtu)
UNCHECKED_RTU = replace(MODBUS_RTU, open_session=UncheckedRtu)
BELIEVING_TCP = replace(MODBUS_TCP, open_session=BelievingTcp, streaming=True)
"""`streaming`: and the connection is kept after a time-out, so that a late answer finds its way."""
GLUING_TCP = replace(MODBUS_TCP, open_session=GluingTcp)
