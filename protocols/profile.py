"""A profile: how one model of meter is read, as data. No new model by code (docs/add-a-meter.md).

The file is TOML (`format = 1`) with the model's registers, what is known of its traps, and its own frames with the
readings expected from them. A register says, exactly: where it stands on the wire, how it is coded, the factor to the
canonical unit, the resolution that the meter has, and whether it may be billed.

    id = "eastron_sdm630"              stable; its meaning never changes
    protocol = "modbus"                the family: modbus | dlt645 | mqtt-json
    [modbus] … [json] …                what only this family has: see `Modbus`, `Json`
    [[register]]                       one value: see `Register`
    [[vector]]                         request, answer, expected readings, source: see `Vector`
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from protocols.catalogue import Kind, describe, described
from protocols.errors import ObisError, ProfileError, TomlProblem
from protocols.json_path import join, parse_path
from protocols.obis import Obis
from protocols.tomlfile import TomlFile, parse_toml, read_toml


def _exact(value: object) -> object:
    """Exact decimals are written as strings; a TOML float has already been rounded by the time we see it."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return value
    raise ValueError('write exact decimals as text: "0.001"')


def _quantity(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError('an OBIS code is text: "1-0:1.8.0"')  # noqa: TRY004 - pydantic turns ValueError into a finding
    try:
        return str(describe(Obis.parse(value)).code)
    except ObisError as error:
        raise ValueError(str(error)) from None


def _path(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a path is text: data.0.energy")  # noqa: TRY004 - as above
    try:
        parse_path(value)
    except ProfileError as error:
        raise ValueError(str(error)) from None
    return value


Exact = Annotated[Decimal, BeforeValidator(_exact)]
JsonPath = Annotated[str, BeforeValidator(_path)]
QuantityCode = Annotated[str, BeforeValidator(_quantity)]
Basis = Literal["instant", "freeze", "settlement", "curve"]
WORDS = ("clock", "status", "events")
"""What may stand where a quantity stands, though it is none: how they are read is each protocol's affair."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Register(_Strict):
    """One value of the meter.

    `id`: Modbus: the 0-based wire address of its first register, as text; DL/T 645: the data identifier (`nn` stands
    for the number of the copy); JSON: the dotted path. `type`: the coding (Modbus `float32`, `uint32` …; DL/T 645 the
    standard's picture, `XXXXXX.XX`; JSON `decimal`). `scale`: factor to the canonical unit. `invalid`: wire patterns (hex) for
    "no value"; float NaN and infinities always do. `time_id`: where the stamp of a value kept by the meter is read.
    """

    id: str
    quantity: QuantityCode
    basis: Basis = "instant"
    type: str
    scale: Exact = Decimal(1)
    resolution: Exact = Decimal("0.001")
    billable: bool = False
    invalid: tuple[str, ...] = ()
    function: int | None = None
    position: int = 0
    """Which value of a block this is (DL/T 645 freezes: 0 the total, 1… the tariffs)."""
    time_id: str | None = None
    depth: int = Field(1, ge=1)
    """How many copies the meter keeps; of a curve, how many records."""
    every_s: int | None = Field(None, ge=1)
    """Of a curve: seconds from one record to the next, as the meter is delivered."""

    @property
    def unit(self) -> str:
        """The canonical unit."""
        return described(self.quantity).unit

    @property
    def kind(self) -> Kind:
        """As the catalogue says."""
        return described(self.quantity).kind


class Modbus(_Strict):
    """How the registers of a Modbus device are read.

    `word_order`: ABCD = the more significant word first, CDAB = the less significant first, and so on; never guessed.
    `max_registers`: in one request. `max_gap`: registers between two values that may be read along with them; 0 where
    a hole answers with exception 2.
    """

    function: Literal[3, 4]
    word_order: Literal["ABCD", "CDAB", "BADC", "DCBA"]
    max_registers: int = Field(ge=2, le=125)
    max_gap: int = Field(default=0, ge=0, le=123)


class Json(_Strict):
    """Where things stand in the message of a meter that pushes JSON. Paths are dotted (`json_path`).

    `topic`: the topic's levels, `<address>` the one that is the registry's address, `+` any. `time`: the stamp, RFC 3339
    with its offset unless `time_is` says that it counts from 1970. `seq`, `basis`: optional in every message; without
    `basis` all is instant. `sender`, `boot`, `oldest`: of a concentrator that keeps what is not
    acknowledged (docs/mqtt.md). `values`: an object of OBIS codes, each a value of its own that needs no register here: those
    that have none get `resolution` and are not billable.
    """

    topic: str = Field(pattern=r"^(?:[^/#+<>]+/|\+/)*<address>(?:/[^/#+<>]+|/\+)*$")
    time: JsonPath
    time_is: Literal["rfc3339", "epoch_s", "epoch_ms"] = "rfc3339"
    seq: JsonPath | None = None
    sender: JsonPath | None = None
    boot: JsonPath | None = None
    oldest: JsonPath | None = None
    basis: JsonPath | None = None
    values: JsonPath | None = None
    resolution: Exact = Decimal("0.001")


class Identity(_Strict):
    """The register that says which meter this is; its content is compared with the registry's serial."""

    id: str
    type: str
    function: int | None = None


class Expected(_Strict):
    """A reading that a vector must give; `value` null where it must give none, with `reason`."""

    quantity: QuantityCode
    value: Exact | None = None
    basis: Basis = "instant"
    time: str | None = None
    reason: str = ""


class Vector(_Strict):
    """Frames of this meter and what they mean. `source`: the manual's page, the clause, the capture."""

    source: str = Field(min_length=8)
    protocol: str
    request: tuple[str, ...] | str = ()
    answer: tuple[str, ...] | str
    readings: tuple[Expected, ...]


class Profile(_Strict):
    """One model (and its relabelled siblings)."""

    format: Literal[1] = 1
    id: str = Field(pattern=r"^[a-z0-9_]+$")
    protocol: Literal["modbus", "dlt645", "mqtt-json"]
    maker: str
    models: tuple[str, ...] = Field(min_length=1)
    phases: Literal[1, 3]
    sources: tuple[str, ...] = Field(min_length=1)
    notes: str = ""
    primary: bool = False
    """The registers already hold primary values: multipliers are not applied again."""
    digits: int | None = None
    """Digits left of the point before a register starts again at zero."""
    un_v: Exact | None = None
    imax_a: Exact | None = None
    modbus: Modbus | None = None
    json_: Json | None = Field(default=None, alias="json")
    can: tuple[Literal["clock", "status", "events"], ...] = ()
    """What a plan may `read` of it by a word, beside registers."""
    identity: Identity | None = None
    register_: tuple[Register, ...] = Field(alias="register", min_length=1)
    vector: tuple[Vector, ...] = ()

    @property
    def registers(self) -> tuple[Register, ...]:
        """All values, in the file's order."""
        return self.register_

    @cached_property
    def by_path(self) -> tuple[tuple[str, str], ...]:
        """Id and quantity of what a JSON message may hold under a path of its own, not below `values` by its name."""
        below = None if self.json_ is None else self.json_.values
        places = dict.fromkeys((one.id, one.quantity) for one in self.registers)
        return tuple(one for one in places if below is None or one[0] != join(below, one[1]))

    @cached_property
    def by_place(self) -> Mapping[tuple[str, str, str], Register]:
        """The registers by (id, quantity, basis), for who has all three."""
        return {(one.id, one.quantity, one.basis): one for one in self.registers}

    def find(self, quantity: str, basis: str) -> Register | None:
        """The register that holds a quantity on a basis."""
        return self._by_key.get((quantity, basis)) or self._unlisted(quantity, basis)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, without what was worked out from the original."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("_by_key", "computed"):
            copied.__dict__.pop(name, None)
        return copied

    @cached_property
    def _by_key(self) -> dict[tuple[str, str], Register]:
        return {(register.quantity, register.basis): register for register in self.registers}

    @cached_property
    def computed(self) -> dict[Any, Any]:
        """What others worked out from this profile and need again: it never changes. They bound what they keep."""
        return {}

    def _unlisted(self, quantity: str, basis: str) -> Register | None:
        """A value that a JSON message may hold beside those listed: any of the catalogue, under its own name."""
        if self.json_ is None or self.json_.values is None or (basis != "instant" and self.json_.basis is None):
            return None
        try:
            return Register.model_validate(
                {
                    "id": join(self.json_.values, quantity),
                    "quantity": quantity,
                    "basis": basis,
                    "type": "decimal",
                    "resolution": str(self.json_.resolution),
                }
            )
        except ValidationError:
            return None

    def gives(self, quantity: str, basis: str) -> bool:
        """Whether this meter can be asked for a quantity on a basis, or for what a word stands for (always `instant`)."""
        if quantity in WORDS:
            return quantity in self.can and basis == "instant"
        return self.find(quantity, basis) is not None

    @model_validator(mode="after")
    def _whole(self) -> Profile:
        if (self.protocol == "modbus") != (self.modbus is not None):
            raise ValueError("a Modbus profile has a [modbus] table, and only a Modbus profile has one")
        if (self.protocol == "mqtt-json") != (self.json_ is not None):
            raise ValueError("a profile for mqtt-json has a [json] table, and only such a profile has one")
        seen: set[tuple[str, str]] = set()
        for register in self.registers:
            key = (register.quantity, register.basis)
            if key in seen:
                raise ValueError(f"{register.quantity} ({register.basis}) stands twice")
            seen.add(key)
        return self


def load_profile(path: Path) -> Profile:
    """One profile from a file. :raises ProfileError: naming file, line and key of every mistake."""
    try:
        return _check(read_toml(path))
    except TomlProblem as problem:
        raise ProfileError(str(problem)) from problem


def builtin_profiles() -> dict[str, Profile]:
    """The profiles that come with chaobiao, by id."""
    found = {}
    for entry in sorted(resources.files("protocols").joinpath("profiles").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            profile = _check(parse_toml(entry.read_text(encoding="utf-8"), f"profiles/{entry.name}"))
            found[profile.id] = profile
    return found


def site_profiles(folder: Path) -> dict[str, Profile]:
    """The profiles of a site's own folder, by id. :raises ProfileError: as `load_profile`."""
    found: dict[str, Profile] = {}
    for path in sorted(folder.glob("*.toml")):
        profile = load_profile(path)
        if profile.id in found:
            raise ProfileError(f"{path}:1: id: the profile {profile.id!r} is in this folder twice")
        found[profile.id] = profile
    return found


def _check(document: TomlFile) -> Profile:
    try:
        profile = Profile.model_validate(document.data)
    except ValidationError as error:
        lines = [
            f"{document.at(finding['loc'])}: {finding['msg'].removeprefix('Value error, ')}"
            for finding in error.errors()
        ]
        raise ProfileError("\n".join(lines)) from error
    misfits = [
        f"{document.at(('register', n, key))}: {wrong}"
        for n, register in enumerate(profile.registers)
        for key, wrong in _misfits(profile.protocol, register)
    ]
    if misfits:
        raise ProfileError("\n".join(misfits))
    return profile


_DLT645_ID = re.compile(r"[0-9A-F]{8}|[0-9A-F]{6}nn", re.ASCII)
_DLT645_CURVE = re.compile(r"060[1-6]0001", re.ASCII)
_DLT645_PICTURE = re.compile(r"S?X+(\.X+)?( YYMMDDhhmm)?")


def _misfits(protocol: str, register: Register) -> Iterator[tuple[str, str]]:
    """What a register says that its protocol has no way to read: key and complaint."""
    if protocol == "dlt645":
        for key, id_ in (("id", register.id), ("time_id", register.time_id)):
            if id_ is not None and not _DLT645_ID.fullmatch(id_):
                yield key, f"{id_!r} is no data identifier; write it as 00010000, or 050601nn where there are copies"
        if register.basis == "curve" and (not _DLT645_CURVE.fullmatch(register.id) or register.every_s is None):
            yield (
                "id",
                f"{register.id!r}: a curve is read from load records, 06010001 to 06060001, every_s seconds apart",
            )
        picture = register.type
        if not _DLT645_PICTURE.fullmatch(picture) or picture.partition(" ")[0].count("X") % 2:
            yield "type", f"{picture!r} is no picture of whole bytes, such as XXXXXX.XX (S in front: signed)"
    elif protocol == "mqtt-json":
        if register.type != "decimal":
            yield "type", f"{register.type!r}: a JSON value is of type decimal"
        try:
            parse_path(register.id)
        except ProfileError as error:
            yield "id", str(error)
