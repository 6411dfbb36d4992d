"""Shapes of a day for the load model: watts by hour of the day, working days and days off. Data, and one function.

The numbers are ours, drawn after what such customers look like; holding them against measured profiles comes with the
wider load model. Tariffs follow the usual Chinese day: which number is peak is the utility's choice (DESIGN §4).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

TARIFFS = 4
SHARP, PEAK, FLAT, VALLEY = 1, 2, 3, 4
TARIFF_BY_HOUR = (*(VALLEY,) * 7, FLAT, *(PEAK,) * 3, *(FLAT,) * 6, *(PEAK,) * 2, *(SHARP,) * 2, PEAK, FLAT, VALLEY)
"""尖 1, 峰 2, 平 3, 谷 4, by local hour."""
SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of customer.

    `workday`, `day_off`: mean watts at each full hour, all phases together; between hours it runs straight. `noise`: how far
    (thousandths) a step may lie above or below. `burst`: watts of an appliance that runs in a step with `chance` (in 256ths).
    `on_off`: the machine runs fully or not at all, with the hour's share of `burst` as its chance. `tan`: vars per 1000 watts.
    """

    workday: tuple[int, ...]
    day_off: tuple[int, ...]
    noise: int = 0
    burst: int = 0
    chance: int = 0
    on_off: bool = False
    tan: int = 200

    def watts(self, local: datetime, roll: int, luck: int) -> int:
        """Watts of one step. `roll` and `luck` are two dice of 0…255."""
        hours = self.day_off if local.weekday() >= SATURDAY else self.workday
        here, then = hours[local.hour], hours[(local.hour + 1) % 24]
        mean = here + (then - here) * local.minute // 60
        if self.on_off:
            return self.burst if self.burst * luck < mean * 256 else 0
        level = mean * (1000 + self.noise * (2 * roll - 255) // 255) // 1000
        return level + (self.burst if luck < self.chance else 0)


# fmt: off - two halves of a day, twelve hours each
_HOME = (
    120,
    110,
    105,
    105,
    110,
    160,
    380,
    520,
    360,
    260,
    240,
    330,
    420,
    300,
    240,
    240,
    320,
    520,
    780,
    860,
    760,
    560,
    320,
    180,
)
_HOME_OFF = (
    150,
    120,
    110,
    105,
    110,
    130,
    220,
    420,
    520,
    480,
    460,
    560,
    620,
    460,
    400,
    400,
    460,
    600,
    820,
    880,
    800,
    620,
    400,
    220,
)
_SHOP = (
    450,
    450,
    450,
    450,
    450,
    500,
    700,
    1400,
    2600,
    3200,
    3400,
    3500,
    3400,
    3300,
    3300,
    3300,
    3400,
    3500,
    3600,
    3400,
    2800,
    1600,
    700,
    500,
)
_PUMP = (
    0,
    0,
    0,
    0,
    800,
    3200,
    4800,
    4200,
    2400,
    1200,
    600,
    600,
    600,
    600,
    800,
    1200,
    2400,
    4200,
    4800,
    3600,
    1600,
    400,
    0,
    0,
)
_LAMPS = (
    900,
    900,
    900,
    900,
    900,
    900,
    400,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    200,
    900,
    900,
    900,
    900,
    900,
    900,
)
# fmt: on

SHAPES = {
    "household": Shape(_HOME, _HOME_OFF, noise=350, burst=1800, chance=10, tan=180),
    "shop": Shape(_SHOP, _SHOP, noise=150, burst=900, chance=24, tan=320),
    "pump": Shape(_PUMP, _PUMP, burst=5500, on_off=True, tan=620),
    "street_light": Shape(_LAMPS, _LAMPS, noise=10, tan=480),
}
