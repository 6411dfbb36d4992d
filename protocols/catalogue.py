"""What each OBIS code is: unit, kind, and its name in English and Chinese. The one list that every room asks.

A quantity's name carries no unit. A reading's kind says how it may be judged: only a `register` may be expected never to
fall; a `signed register` (net active, and reactive energies whose composition is a setting of the meter) may.
Sources: group C and D after IEC 62056-61 tables 5–8 (electricity) and EN 13757-1 (water, gas, heat); names as the trade
writes them (docs/glossary.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache

from protocols import obis
from protocols.errors import ObisError
from protocols.obis import Obis


class Kind(StrEnum):
    """How values of a quantity behave."""

    REGISTER = "register"
    SIGNED_REGISTER = "signed register"
    DEMAND = "demand"
    INTERVAL = "interval"
    INSTANTANEOUS = "instantaneous"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One entry: `code`, canonical `unit` (kWh, V, …; "1" for a ratio), `kind`, names."""

    code: Obis
    unit: str
    kind: Kind
    english: str
    chinese: str


TARIFFS = 8
"""Tariff registers 1–8 (group E); 0 is the total. Which number is peak is the utility's choice."""
SETTLEMENT_COPIES = 99
TIME_INTEGRAL, MAXIMUM, INTERVAL_ENERGY, INSTANTANEOUS = 8, 6, 29, 7
"""Group D of electricity: what is done with the quantity of group C."""

# Group C of electricity: what is integrated → unit of its registers, kind, names.
_ENERGIES: dict[int, tuple[str, Kind, str, str]] = {
    1: ("kWh", Kind.REGISTER, "import active energy", "正向有功电能"),
    2: ("kWh", Kind.REGISTER, "export active energy", "反向有功电能"),
    3: ("kvarh", Kind.SIGNED_REGISTER, "import reactive energy", "组合无功1电能"),
    4: ("kvarh", Kind.SIGNED_REGISTER, "export reactive energy", "组合无功2电能"),
    5: ("kvarh", Kind.REGISTER, "reactive energy quadrant I", "第一象限无功电能"),
    6: ("kvarh", Kind.REGISTER, "reactive energy quadrant II", "第二象限无功电能"),
    7: ("kvarh", Kind.REGISTER, "reactive energy quadrant III", "第三象限无功电能"),
    8: ("kvarh", Kind.REGISTER, "reactive energy quadrant IV", "第四象限无功电能"),
    9: ("kVAh", Kind.REGISTER, "import apparent energy", "正向视在电能"),
    10: ("kVAh", Kind.REGISTER, "export apparent energy", "反向视在电能"),
    15: ("kWh", Kind.REGISTER, "absolute active energy", "有功电能绝对值和"),
    16: ("kWh", Kind.SIGNED_REGISTER, "net active energy", "有功电能净值"),
}
_PHASED_ENERGIES = (1, 2, 3, 4, 9, 10, 15, 16)

# Group C of instantaneous values: unit, names.
_INSTANT: dict[int, tuple[str, str, str]] = {
    1: ("kW", "import active power", "正向有功功率"),
    2: ("kW", "export active power", "反向有功功率"),
    3: ("kvar", "reactive power", "无功功率"),
    9: ("kVA", "apparent power", "视在功率"),
    11: ("A", "amperage", "电流"),
    12: ("V", "voltage", "电压"),
    13: ("1", "power factor", "功率因数"),
    14: ("Hz", "frequency", "频率"),
    16: ("kW", "active power", "有功功率"),
    91: ("A", "neutral amperage", "零线电流"),
}
_PHASED_INSTANT = (1, 2, 3, 9, 11, 12, 13, 16)
_PHASES = {20: ("phase A", "A相"), 40: ("phase B", "B相"), 60: ("phase C", "C相")}

_MEDIA: dict[tuple[int, int], tuple[str, Kind, str, str]] = {
    (obis.COLD_WATER, 1): ("m³", Kind.REGISTER, "cold water volume", "冷水累积量"),
    (obis.HOT_WATER, 1): ("m³", Kind.REGISTER, "hot water volume", "热水累积量"),
    (obis.GAS, 3): ("m³", Kind.REGISTER, "gas volume", "燃气累积量"),
    (obis.HEAT, 1): ("GJ", Kind.REGISTER, "heat energy", "热量"),
    (obis.COOLING, 1): ("GJ", Kind.REGISTER, "cooling energy", "冷量"),
    (obis.HEAT, 2): ("m³", Kind.REGISTER, "heating water volume", "供热流量累积量"),
}


@cache
def describe(code: Obis) -> Quantity:
    """The catalogue's entry for a code, with tariff, phase and settlement copy worked into the names.

    :raises ObisError: if the catalogue has no such quantity.
    """
    entry = _electricity(code) if code.a == obis.ELECTRICITY and code.b == 0 else _medium(code)
    if entry is None:
        raise ObisError(f"{code} is a well-formed OBIS code but no quantity of the catalogue")
    unit, kind, english, chinese = entry
    if code.f != obis.UNUSED:
        if not 1 <= code.f <= SETTLEMENT_COPIES:
            raise ObisError(f"{code}: settlement copies are *01 to *{SETTLEMENT_COPIES}")
        english, chinese = f"{english}, settlement copy {code.f}", f"{chinese}(上{code.f}结算日)"
    return Quantity(code, unit, kind, english, chinese)


@lru_cache(maxsize=4096)
def described(text: str) -> Quantity:
    """The entry of a code as it is written; asked for every value that comes, so those of late are remembered.

    :raises ObisError: as `Obis.parse` and `describe`.
    """
    return describe(Obis.parse(text))


def _electricity(code: Obis) -> tuple[str, Kind, str, str] | None:
    group_c, (english_phase, chinese_phase) = code.c, ("", "")
    for offset, names in _PHASES.items():
        if code.c in range(offset + 1, offset + 17):
            group_c, (english_phase, chinese_phase) = code.c - offset, names
    phased = bool(english_phase)
    if code.d == INSTANTANEOUS and code.e == 0 and code.f == obis.UNUSED and group_c in _INSTANT:
        if phased and group_c not in _PHASED_INSTANT:
            return None
        unit, english, chinese = _INSTANT[group_c]
        return unit, Kind.INSTANTANEOUS, f"{english} {english_phase}".strip(), chinese_phase + chinese
    if code.c == 81 and code.d == INSTANTANEOUS and code.f == obis.UNUSED:
        return "°", Kind.INSTANTANEOUS, f"phase angle {code.e}", f"相角{code.e}"
    if group_c not in _ENERGIES or (phased and group_c not in _PHASED_ENERGIES) or code.e > TARIFFS:
        return None
    unit, kind, english, chinese = _ENERGIES[group_c]
    english, chinese = f"{english} {english_phase}".strip(), chinese_phase + chinese
    if code.e:
        english, chinese = f"{english}, tariff {code.e}", f"{chinese} 费率{code.e}"
    else:
        english, chinese = f"{english} total", f"{chinese}总"
    if code.d == TIME_INTEGRAL:
        return unit, kind, english, chinese
    if code.d == INTERVAL_ENERGY and code.f == obis.UNUSED:
        return unit, Kind.INTERVAL, f"{english}, interval", f"{chinese} 时段电量"
    if code.d == MAXIMUM:
        return unit.removesuffix("h"), Kind.DEMAND, f"maximum demand of {english}", f"{chinese} 最大需量"
    return None


def _medium(code: Obis) -> tuple[str, Kind, str, str] | None:
    if code.b != 0 or code.d != 0 or code.e != 0:
        return None
    return _MEDIA.get((code.a, code.c))
