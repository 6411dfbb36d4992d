"""One mistake: where it stands and what it is. Collected, never raised one by one, so that a user sees all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from collector.settings.fields import show
from collector.settings.spelling import did_you_mean
from protocols.tomlfile import TomlFile

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A key (or the table where it should be) and a sentence."""

    place: Place
    says: str


def lines(document: TomlFile, findings: Iterable[Finding]) -> list[str]:
    """`collector.toml:12: channel.0.timeout: …`, in the file's order; what was found twice is said once."""
    placed = {(document.line_of(f.place), document.at(f.place), f.says) for f in findings}
    return [f"{at}: {says}" for _, at, says in sorted(placed)]


def of_schema(model: type[BaseModel], errors: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """pydantic's findings in our words."""
    return [Finding(error["loc"], _sentence(model, error)) for error in errors]


# What a value must be, by the type of pydantic's finding.
_MUST_BE = {
    "tuple_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}
_EMPTY = ("too_short", "string_too_short")


def _sentence(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    kind, given, place, context = error["type"], error["input"], error["loc"], error.get("ctx", {})
    if kind in _MUST_BE:
        return f"is {show(given)}, but must be {_MUST_BE[kind].format(**context)}{_as_in(model, place)}"
    if kind in _EMPTY:
        return f"is empty{_as_in(model, place)}"
    match kind:
        case "value_error":
            return str(context["error"])
        case "extra_forbidden":
            known = keys_of(_table_at(model, place[:-1]))
            return f'unknown key "{place[-1]}"{did_you_mean(str(place[-1]), known)}; known here: {", ".join(known)}'
        case "missing":
            return f"is missing{_as_in(model, place)}"
        case "literal_error":
            near = did_you_mean(str(given), _allowed(model, place))
            return f"{show(given)} is not known{near}; allowed: {context['expected']}"
        case _:
            return f"is {show(given)}: {error['msg']}"


def keys_of(model: type[BaseModel]) -> dict[str, Any]:
    """Keys as the file writes them, with their fields."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def table_in(annotation: object) -> type[BaseModel] | None:
    """The table that a field holds: itself, in a list, or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := table_in(part))), None)


def _table_at(model: type[BaseModel], place: Place) -> type[BaseModel]:
    for key in place:
        if isinstance(key, str) and (inner := table_in(keys_of(model)[key].annotation)):
            model = inner
    return model


def _field_at(model: type[BaseModel], place: Place) -> tuple[str, Any]:
    names = [depth for depth, key in enumerate(place) if isinstance(key, str)]
    key = str(place[names[-1]])
    return key, keys_of(_table_at(model, place[: names[-1]]))[key]


def _as_in(model: type[BaseModel], place: Place) -> str:
    key, field = _field_at(model, place)
    if field.examples:
        return f"; it is written as {key} = {field.examples[0]}"
    return f"; it is written as [{key}]"


def _allowed(model: type[BaseModel], place: Place) -> list[str]:
    _, field = _field_at(model, place)
    return [str(value) for value in get_args(field.annotation)]
