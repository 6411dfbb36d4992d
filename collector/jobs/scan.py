"""Find the devices of a line, and what can be proven of each: what it says it is, and which built-in profiles fit.

A profile fits where the voltages and the frequency that it has come out as a mains has them, in every phase. That is evidence,
not proof: it is printed with the values that were seen, and nothing is done with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

from collector.acquisition.identify import Identification, identify
from collector.acquisition.line import Line
from collector.acquisition.scan import Findings, Search, wildcard_search
from collector.acquisition.scanning import TIME_IS_UP, Ended, Told, scan_line
from collector.acquisition.sweep import unit_sweep
from collector.acquisition.timing import Timing
from collector.acquisition.visit import ask_unknown, read_meter
from collector.clock import Clock
from collector.jobs.probe import IDENTIFIES
from collector.jobs.reach import Reached, own_line
from collector.normalise.translate import translate
from collector.settings.link_url import parse_link
from protocols.dialect import Dialect, Wanted
from protocols.profile import Profile
from storage.records import Reading, Source
from storage.registry import Meter
from storage.values import from_millionths

VOLTAGES = ("1-0:32.7.0", "1-0:52.7.0", "1-0:72.7.0")
FREQUENCY = "1-0:14.7.0"
LEAST_HZ, MOST_HZ = Decimal(45), Decimal(65)
LEAST_UN, MOST_UN = Decimal("0.7"), Decimal("1.3")
"""Times the profile's own voltage. What is dead or upside down fits nothing."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A profile, and the values by which it fits."""

    profile: str
    seen: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """One that was found. `unclear`: why it is not sure that it is there, or that it was all (a code of `acquisition.scan`)."""

    address: str
    sure: bool
    unclear: str = ""
    who: Identification = field(default_factory=Identification)
    serial: str = ""
    fits: tuple[Fit, ...] = ()


@dataclass(slots=True)
class Scanned:
    """Filled while the work goes on: good whenever it is cut short."""

    findings: Findings
    devices: dict[str, Device] = field(default_factory=dict)
    ended: Ended | None = None
    """None: interrupted."""

    @property
    def places(self) -> Mapping[str, str]:
        """Where somebody was heard whose address is not known, and why."""
        return {place: why for place, why in self.findings.unclear.items() if not place.isdecimal()}


@dataclass(frozen=True, slots=True)
class Scan:
    """One line, and how it is searched. `patience`: for the search; `timing`: for what is asked of who was found."""

    url: str
    dialect: Dialect
    patience: Timing
    timing: Timing
    clock: Clock
    zone: ZoneInfo
    profiles: Mapping[str, Profile]
    reached: Reached | None = None
    """On which line; without it on one of our own."""

    async def run(self, search: Search, scanned: Scanned, *, within_s: float, told: Told) -> None:
        """Search, then look at who was found. Ends before the end if the medium fails or the time is up: `scanned.ended`."""
        async with (self.reached or own_line(self.url, self.clock))() as reach:
            ended = await scan_line(
                *(reach.line, self.dialect, search, self.patience),
                within_s=within_s,
                told=partial(self._note, scanned, told),
                turn=reach.turn,
            )
            self._note(scanned, told, scanned.findings, 0)
            if ended.reason not in ("", TIME_IS_UP):
                scanned.ended = ended
                return
            for address in self._to_look_at(scanned):
                async with reach.turn():
                    scanned.devices[address] = await self._look(reach.line, scanned.devices[address])
            if self.dialect.name in IDENTIFIES:
                for address in self._to_look_at(scanned):
                    async with reach.turn():
                        await (
                            reach.line.close()
                        )  # it is asked on a connection of its own, and many devices have only one
                        scanned.devices[address] = await self._ask_who(scanned.devices[address])
        scanned.ended = ended

    def _note(self, scanned: Scanned, told: Told, findings: Findings, left_s: float) -> None:
        found, unclear = scanned.findings.found, scanned.findings.unclear
        if scanned.findings.one_for_all:
            scanned.devices = {found[0]: Device(found[0], sure=True)}
        else:
            scanned.devices = {one: Device(one, sure=True, unclear=unclear.get(one, "")) for one in found} | {
                one: Device(one, sure=False, unclear=why)
                for one, why in unclear.items()
                if one.isdecimal() and one not in found
            }
        told(findings, left_s)

    def _to_look_at(self, scanned: Scanned) -> list[str]:
        return [address for address, device in scanned.devices.items() if device.sure]

    async def _look(self, line: Line, device: Device) -> Device:
        fits = [fit for one in self._candidates() if (fit := await self._fit(line, device.address, one))]
        proofs = [{one.quantity for one in fit.seen} for fit in fits]
        # three phases that fit say more than the one that fits as well
        best = tuple(fit for fit, has in zip(fits, proofs, strict=True) if not any(has < other for other in proofs))
        serial = await self._serial(line, device.address, self.profiles[best[0].profile]) if best else ""
        return replace(device, serial=serial, fits=best)

    def _candidates(self) -> list[Profile]:
        return [one for one in self.profiles.values() if one.protocol == self.dialect.family]

    async def _fit(self, line: Line, address: str, profile: Profile) -> Fit | None:
        wanted = [Wanted(one) for one in (*VOLTAGES, FREQUENCY) if profile.gives(one, "instant")]
        if VOLTAGES[0] not in {one.quantity for one in wanted} or profile.un_v is None:
            return None
        meter = Meter(address, profile.id, "", address)
        visit = await read_meter(line, self.dialect, profile, meter, wanted, self.timing)
        seen: dict[str, Reading] = {}
        for received_at, items in visit.arrivals():
            made = translate(
                items, profile=profile, meter=meter, zone=self.zone, source=Source.POLL, received_at=received_at
            )
            seen |= {one.quantity: one for one in made.readings}
        ok = all(one.quantity in seen and _plausible(seen[one.quantity], profile.un_v) for one in wanted)
        return Fit(profile.id, tuple(seen[one.quantity] for one in wanted)) if ok else None

    async def _serial(self, line: Line, address: str, profile: Profile) -> str:
        request, identity = self.dialect.identity(profile, address), profile.identity
        if request is None or identity is None:
            return ""
        visit = await ask_unknown(line, self.dialect, [request], self.timing, Meter(address, "", "", address))
        items = self.dialect.items(profile, [one.exchange for one in visit.answered])
        return next((str(one.value).strip() for one in items if one.id == identity.id and one.value is not None), "")

    async def _ask_who(self, device: Device) -> Device:
        link = parse_link(self.url)
        who = await identify(link.host, link.port, int(device.address), timeout_s=self.timing.timeout_s)
        return replace(device, who=who)


def _plausible(reading: Reading, un_v: Decimal) -> bool:
    value = from_millionths(reading.value)
    if reading.quantity == FREQUENCY:
        return LEAST_HZ <= value <= MOST_HZ
    return LEAST_UN * un_v <= value <= MOST_UN * un_v


def search_for(dialect: Dialect, *, units: range, verify: int, retries: int) -> Search | None:
    """How the devices of a protocol are found; None: they cannot be."""
    match dialect.family:
        case "dlt645":
            return wildcard_search(verify=verify, retries=retries)
        case "modbus":
            return unit_sweep(units, retries=retries)
        case _:
            return None
