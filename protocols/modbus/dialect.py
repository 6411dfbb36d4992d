"""Modbus as the lines know it: one dialect for each framing, the same words in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from protocols.dialect import Decoded, Exchange, Wanted
from protocols.modbus.blocks import identity_block, plan_blocks, read_blocks, read_words
from protocols.modbus.dump import decode_rtu, decode_tcp
from protocols.modbus.pdu import REGISTER_FUNCTIONS
from protocols.modbus.rtu_session import RtuSession
from protocols.modbus.tcp import DIRECT_UNIT, TcpSession
from protocols.modbus.unit import parse_unit
from protocols.profile import Profile
from protocols.telegram import Item, Request, Session, Telegram


@dataclass(slots=True)  # not frozen: the port declares plain attributes
class ModbusDialect:
    """Fulfils `protocols.dialect.Dialect`; see there."""

    name: str
    streaming: bool
    gap_ms: int
    open_session: Callable[[], Session]
    take_apart: Callable[[bytes], list[Decoded]]
    turn_chars: Decimal = Decimal(0)
    also_units: frozenset[int] = frozenset()
    family: str = "modbus"

    def session(self) -> Session:
        """A fresh session."""
        return self.open_session()

    def requests(self, profile: Profile, address: str, wanted: Sequence[Wanted]) -> tuple[Request, ...]:
        """Coalesced blocks of registers."""
        parse_unit(address, self.also_units)
        return plan_blocks(profile, address, wanted)

    def identity(self, profile: Profile, address: str) -> Request | None:
        """The profile's identity register."""
        parse_unit(address, self.also_units)
        return identity_block(profile, address)

    def usual(self, address: str) -> tuple[Request, ...]:
        """Nothing: no register means the same in any two makes."""
        parse_unit(address, self.also_units)
        return ()

    def follow_up(self, request: Request, telegrams: Sequence[Telegram]) -> Request | None:
        """None: an answer is always whole."""
        return None

    def answer_size(self, request: Request) -> int:
        """Exactly: the question says how many registers."""
        session = self.session()
        session.send(request)
        return session.expects

    def items(self, profile: Profile | None, exchanges: Sequence[Exchange]) -> tuple[Item, ...]:
        """The profile's values, or without one each register by its wire address."""
        if profile is not None:
            return tuple(read_blocks(profile, exchanges))
        return tuple(
            item
            for exchange in exchanges
            if exchange.request.function in REGISTER_FUNCTIONS
            for telegram in exchange.telegrams
            for item in read_words(int(exchange.request.target), telegram.payload)
        )

    def decode(self, data: bytes) -> list[Decoded]:
        """Requests and answers."""
        return self.take_apart(data)


MODBUS_TCP = ModbusDialect(
    name="modbus-tcp",
    streaming=False,
    gap_ms=30,
    open_session=TcpSession,
    take_apart=decode_tcp,
    also_units=DIRECT_UNIT,
)

# 3.5 characters are 3.6 ms at 9600 baud; what a USB adapter or a serial server adds is ten times that.
MODBUS_RTU = ModbusDialect(
    name="modbus-rtu",
    streaming=True,
    gap_ms=30,
    turn_chars=Decimal("3.5"),  # MODBUS over Serial Line V1.02 §2.5.1.1
    open_session=RtuSession,
    take_apart=decode_rtu,
)
