"""The simulated meters of one lane, as a device in memory: a function of bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from protocols.profile import Profile
from simulators.dlt645_face import Dlt645Bus, Dlt645Meter
from simulators.load import Load
from simulators.meter import Meter as SimulatedMeter
from simulators.modbus_registers import RegisterImage
from simulators.shapes import SHAPES
from simulators.truth import Truth
from storage.registry import Meter
from tests.flow.faults.modbus_bus import Lie, ModbusBus
from tests.links.memory_link import Device

REPLY_S = 0.05
Now = Callable[[], datetime]


def simulated(meter: Meter, profile: Profile, start: datetime, seed: int) -> SimulatedMeter:
    """A shop behind it; mounted the day before, its register away from zero."""
    mounted, zone = start - timedelta(days=1), start.tzinfo
    assert zone is not None
    load = Load(SHAPES["shop"], seed=seed, name=meter.meter, zone=zone, since=mounted, phases=profile.phases)
    return SimulatedMeter(
        meter.meter,
        load,
        mounted=mounted,
        zone=zone,  # type: ignore[arg-type]
        phases=profile.phases,
        start_kwh=815_000_000 + 1_000_000 * (hash_of(meter.meter) % 9000),
    )


def hash_of(name: str) -> int:
    """The same in every process."""
    return int.from_bytes(name.encode()[-4:], "big")


def modbus_bus(
    meters: Sequence[Meter],
    profile: Profile,
    truth: Truth,
    now: Now,
    start: datetime,
    dice: random.Random,
    *,
    tcp: bool,
    lies: tuple[Lie, ...],
    share: float,
) -> ModbusBus:
    """Units by address."""
    seed = dice.randrange(2**32)
    images = {int(one.address): RegisterImage(profile, simulated(one, profile, start, seed)) for one in meters}
    return ModbusBus(images, truth, now, tcp=tcp, reply_s=REPLY_S, lies=lies, share=share, dice=dice)


def dlt645_bus(
    meters: Sequence[Meter], profile: Profile, truth: Truth, now: Now, start: datetime, dice: random.Random
) -> Device:
    """Each with another number of bytes to wake the line."""
    seed = dice.randrange(2**32)
    bus = Dlt645Bus(
        [
            Dlt645Meter(one.address, "", simulated(one, profile, start, seed), preamble=n % 5)
            for n, one in enumerate(meters)
        ],
        truth=truth,
        reply_s=REPLY_S,
    )

    def device(data: bytes) -> Iterable[tuple[float, bytes]]:
        return [(answer.after_s, answer.data) for answer in bus.receive(data, now)]

    return device


def lying(device: Device, lie: Callable[[bytes], bytes], share: float, dice: random.Random) -> Device:
    """A device whose frames are changed on their way out."""

    def liar(data: bytes) -> Iterator[tuple[float, bytes]]:
        for delay_s, answer in device(data):
            yield delay_s, lie(answer) if dice.random() < share else answer

    return liar
