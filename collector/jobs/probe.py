"""Read one device by hand, with no configuration and no ledger: what is there, and does it answer?

With a profile, all that the profile has, as readings. Without one, what is usual in the protocol, in the protocol's words; and
of a Modbus TCP device, where no register means the same in two makes, what it says it is (function 43).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from collector.acquisition.identify import identify
from collector.acquisition.timing import Timing
from collector.acquisition.visit import Failed, Visit, ask_unknown, read_meter
from collector.clock import Clock
from collector.jobs.reach import Reached, own_line
from collector.normalise.translate import Rejected, translate
from collector.settings.link_url import parse_link
from protocols.dialect import Dialect, Wanted
from protocols.profile import Profile
from protocols.telegram import Item
from storage.records import Attempt, Reading, Source
from storage.registry import Meter

IDENTIFIES = ("modbus-tcp",)
"""Protocols in which a device can be asked what it is: the library that asks speaks TCP to a socket of its own."""


@dataclass(frozen=True, slots=True)
class Said:
    """Something that is no reading, and the instant it was said."""

    item: Item
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Probed:
    """What a device said. `address`: its own, where the one asked was a wildcard. `why_not`: why it did not say what it is."""

    address: str
    readings: tuple[Reading, ...] = ()
    said: tuple[Said, ...] = ()
    rejects: tuple[Rejected, ...] = ()
    failed: tuple[Failed, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    """Every try, with the bytes that went and came."""
    why_not: str = ""

    @property
    def nothing(self) -> bool:
        """The device gave nothing at all."""
        return not self.readings and not self.said


@dataclass(frozen=True, slots=True)
class Probe:
    """One device and how to reach it. `reached`: on which line; without it on one of our own to `url`."""

    url: str
    dialect: Dialect
    address: str
    timing: Timing
    clock: Clock
    zone: ZoneInfo
    reached: Reached | None = None

    async def with_profile(self, profile: Profile) -> Probed:
        """All that the profile has: instant values, and the latest copy of what the meter keeps by itself.

        :raises RequestError: for an address that the protocol does not have.
        """
        wanted = tuple(dict.fromkeys(Wanted(one.quantity, one.basis) for one in profile.registers))
        self.dialect.requests(profile, self.address, wanted)  # an address that cannot be: refused with nothing opened
        async with self._reach() as reach, reach.turn():
            visit = await read_meter(reach.line, self.dialect, profile, self._meter(profile.id), wanted, self.timing)
        address = self._own_address(visit)
        readings: list[Reading] = []
        rejects: list[Rejected] = []
        for received_at, items in visit.arrivals():
            made = translate(
                items,
                profile=profile,
                meter=Meter(address, profile.id, "", address),
                zone=self.zone,
                source=Source.POLL,
                received_at=received_at,
            )
            readings += made.readings
            rejects += made.rejects
        return Probed(address, tuple(readings), rejects=tuple(rejects), failed=visit.failed, attempts=visit.attempts)

    async def without_profile(self) -> Probed:
        """What is usual in the protocol; where nothing is, what the device says it is."""
        requests = self.dialect.usual(self.address)
        if not requests:
            return await self._identified()
        async with self._reach() as reach, reach.turn():
            visit = await ask_unknown(reach.line, self.dialect, requests, self.timing, self._meter(""))
        said = tuple(Said(item, at) for at, items in visit.arrivals() for item in items)
        return Probed(self._own_address(visit), said=said, failed=visit.failed, attempts=visit.attempts)

    async def _identified(self) -> Probed:
        if self.dialect.name not in IDENTIFIES:
            return Probed(self.address)
        link = parse_link(self.url)
        async with self._reach() as reach, reach.turn():
            await reach.line.close()  # many devices have only one connection
            found = await identify(link.host, link.port, int(self.address), timeout_s=self.timing.timeout_s)
        at = self.clock.now()
        texts = {"vendor": found.vendor, "product": found.product, "revision": found.revision}
        said = tuple(Said(Item(id_, value=text), at) for id_, text in texts.items() if text)
        return Probed(self.address, said=said, why_not=found.why_not)

    @property
    def _reach(self) -> Reached:
        return self.reached or own_line(self.url, self.clock)

    def _meter(self, profile: str) -> Meter:
        return Meter(self.address, profile, "", self.address)

    def _own_address(self, visit: Visit) -> str:
        """A wildcard is nobody's address; the answer says whose it is."""
        if self.address.isdecimal() or not visit.answered:
            return self.address
        return visit.answered[0].exchange.telegrams[0].address
