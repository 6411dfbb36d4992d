"""The standard's data identifiers: what an answer about one of them says. The table is data, `identifiers.toml`.

Never guesses: an identifier that the table lacks, or bytes of another length than the standard's, give the bytes themselves
(`raw`) and no value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any

from protocols.catalogue import TARIFFS
from protocols.dlt645 import pictures
from protocols.dlt645.pictures import Picture
from protocols.errors import ProfileError
from protocols.telegram import Item
from protocols.tomlfile import parse_toml

_FILE = "identifiers.toml"
_BLOCK = 0xFF
_RANGES = {
    "tt": range(0x40),
    "cc": range(0x0D),
    "pp": range(1, 4),
    "qq": range(4),
    "nn": range(1, 0x3F),
    "ww": range(1, 8),
}
_BLOCKS = ("tt", "pp", "qq")
"""Letters whose byte may be FF: all of them, one after the other."""
_GROUP_C = re.compile(r"\{(\d+)\}")
_PHASE = 20
"""Group C of phase A is that of the total plus 20, B 40, C 60 (IEC 62056-61 table 5)."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What stands behind an identifier; a block's `parts` are what its values mean, in order."""

    id: str
    name: str
    picture: Picture
    unit: str | None = None
    quantity: str | None = None
    basis: str | None = None
    parts: tuple[Meaning, ...] = ()


@dataclass(frozen=True, slots=True)
class _Bits:
    bit: int
    width: int
    says: tuple[str, ...]


def copy_of(pattern: str, back: int) -> str:
    """`050601nn`, 3 → `05060103`. The number of a copy is a binary byte: 62 days back is 3E."""
    return pattern.replace("nn", f"{back:02X}").upper()


@cache
def find(identifier: str) -> Meaning | None:
    """What `"00010000"` is about; None if the table has it not."""
    for pattern, entry in _table()[0]:
        if match := pattern.fullmatch(identifier):
            letters = {name: int(text, 16) for name, text in match.groupdict().items()}
            if any(value not in _RANGES[name] for name, value in letters.items() if value != _BLOCK):
                continue
            many = next((name for name, value in letters.items() if value == _BLOCK), "")
            if not many:
                return _single(identifier, entry, letters)
            if many in _BLOCKS:
                start, end = match.span(many)
                ids = (f"{identifier[:start]}{n:02X}{identifier[end:]}" for n in _RANGES[many])
                return _block(identifier, entry, tuple(filter(None, map(find, ids))))
    return None


def _single(identifier: str, entry: dict[str, Any], letters: dict[str, int]) -> Meaning:
    if entry.get("block") == "tariffs":
        return _block(identifier, entry, tuple(_one(identifier, entry, {"tt": n}) for n in _RANGES["tt"]))
    return _one(identifier, entry, letters)


def _block(identifier: str, entry: dict[str, Any], parts: tuple[Meaning, ...]) -> Meaning:
    return Meaning(identifier, entry["name"], pictures.parse(entry["picture"]), parts=parts)


def _one(identifier: str, entry: dict[str, Any], letters: dict[str, int]) -> Meaning:
    basis: str | None = "freeze" if identifier.startswith("0506") else "settlement" if letters.get("cc") else "instant"
    quantity: str | None = entry.get("quantity")
    tariff = letters.get("tt", 0)
    if quantity is None or tariff > TARIFFS:
        quantity = basis = None
    else:
        copy = letters.get("cc", 0)
        phase = letters.get("pp", letters.get("qq", 0))
        quantity = _GROUP_C.sub(lambda match: str(int(match.group(1)) + _PHASE * phase), quantity)
        quantity = quantity.replace("{t}", str(tariff)).replace("{c}", f"*{copy:02d}" if copy else "")
    picture = pictures.parse(entry["picture"])
    return Meaning(identifier, entry["name"], picture, entry.get("unit"), quantity, basis)


def items(identifier: str, payload: bytes) -> tuple[Item, ...]:
    """What an answer's data says by the table; one item, or one for each value of a block."""
    meaning = find(identifier)
    if meaning is None:
        return (Item(identifier, payload, reason="unknown"),)
    if not meaning.parts:
        return (_item(meaning, payload),)
    size = meaning.picture.length
    if not payload or len(payload) % size or len(payload) > size * len(meaning.parts):
        return (Item(identifier, payload, reason="wrong_length"),)
    values = (payload[place : place + size] for place in range(0, len(payload), size))
    return tuple(_item(part, value) for part, value in zip(meaning.parts, values, strict=False))


def _item(meaning: Meaning, data: bytes) -> Item:
    read = pictures.read(meaning.picture, data)
    value = read.value
    if isinstance(value, str) and meaning.picture.parts[0].kind == "bits":
        value = status_text(int(meaning.id[-2:], 16), value)
    return Item(
        meaning.id,
        data,
        value=value,
        unit=meaning.unit,
        quantity=meaning.quantity,
        time=read.time,
        reason=read.reason,
        basis=meaning.basis,
    )


def status_text(word: int, bits: str) -> str:
    """`"0050: relay open, relay commanded open"` of run status word 3."""
    words = status_says(word, int(bits, 16))
    return f"{bits}: {', '.join(words)}" if words else bits


def status_says(word: int, number: int) -> list[str]:
    """What the bits of a run status word say."""
    words = []
    for field in _table()[1].get(word, ()):
        state = number >> field.bit & (1 << field.width) - 1
        if state and (said := field.says[state] if state < len(field.says) else f"bits {field.bit} = {state}"):
            words.append(said)
    return words


@cache
def _table() -> tuple[tuple[tuple[re.Pattern[str], dict[str, Any]], ...], dict[int, tuple[_Bits, ...]]]:
    """The file, with a pattern for each identifier. :raises ProfileError: if it contradicts itself."""
    text = resources.files("protocols.dlt645").joinpath(_FILE).read_text(encoding="utf-8")
    data = parse_toml(text, _FILE).data
    status: dict[int, tuple[_Bits, ...]] = {}
    for row in data["status"]:
        says = row["says"]
        bits = _Bits(row["bit"], row.get("width", 1), ("", says) if isinstance(says, str) else tuple(says))
        for word in row["words"]:
            status[word] = (*status.get(word, ()), bits)
    return tuple((_pattern(row["id"]), row) for row in data["identifier"]), status


def _pattern(written: str) -> re.Pattern[str]:
    pairs = [written[place : place + 2] for place in range(0, len(written), 2)]
    return re.compile("".join(f"(?P<{pair}>[0-9A-F]{{2}})" if pair in _RANGES else re.escape(pair) for pair in pairs))


def all_meanings() -> Iterator[Meaning]:
    """Every entry with the first of each of its ranges, for whoever checks the table."""
    for written in (entry["id"] for _, entry in _table()[0]):
        shown = written
        for letters, numbers in _RANGES.items():
            shown = shown.replace(letters, f"{numbers[0]:02X}")
        if (meaning := find(shown)) is None:
            raise ProfileError(f"{_FILE}: {written} finds nothing for {shown}")
        yield from chain([meaning], meaning.parts)
