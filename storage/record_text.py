"""Records as JSON text, and back: by their own fields, exactly. For what crosses from one process to another.

Field by field as the record's annotations say: a `Decimal` is text, bytes are hex, an instant is ISO 8601 with its offset, a span
microseconds, and where a field may be one of several kinds its value is led by the name of its kind. Nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")
_MICROSECOND = timedelta(microseconds=1)


def to_json(record: object) -> str:
    """One line."""
    return json.dumps(_plain(type(record), record), ensure_ascii=False, separators=(",", ":"))


def from_json(kind: type[Record], text: str) -> Record:
    """A record of this kind. :raises ValueError: for what is none."""
    try:
        made: Record = _made(kind, json.loads(text))
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"no {kind.__name__}: {error!r}") from error
    return made


@lru_cache(maxsize=256)
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _plain(kind: Any, value: Any) -> Any:
    args, origin = get_args(kind), get_origin(kind)
    if origin in (Union, UnionType):
        kinds = [one for one in args if one is not NoneType]
        if value is None or len(kinds) == 1:
            return None if value is None else _plain(kinds[0], value)
        chosen = next(one for one in kinds if isinstance(value, one))
        return {chosen.__name__: _plain(chosen, value)}
    if origin in (tuple, list, frozenset):
        inner = args if origin is tuple and args[-1] is not Ellipsis else [args[0]] * len(value)
        plain = [_plain(one, item) for one, item in zip(inner, value, strict=True)]
        return sorted(plain) if origin is frozenset else plain
    if origin is not None and issubclass(origin, Mapping):
        return {key: _plain(args[1], item) for key, item in value.items()}
    if is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]
        return {field.name: _plain(hints[field.name], getattr(value, field.name)) for field in fields(kind)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, Decimal) else value


def _made(kind: Any, value: Any) -> Any:
    args, origin = get_args(kind), get_origin(kind)
    if origin in (Union, UnionType):
        kinds = [one for one in args if one is not NoneType]
        if value is None or len(kinds) == 1:
            return None if value is None else _made(kinds[0], value)
        ((name, inside),) = value.items()
        return _made(next(one for one in kinds if one.__name__ == name), inside)
    if origin in (tuple, list, frozenset):
        inner = args if origin is tuple and args[-1] is not Ellipsis else [args[0]] * len(value)
        return origin(_made(one, item) for one, item in zip(inner, value, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _made(args[1], item) for key, item in value.items()}
    if is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]
        return kind(**{name: _made(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    if kind in (datetime, date):
        return kind.fromisoformat(value)
    if kind is timedelta:
        return value * _MICROSECOND
    if kind is bytes:
        return bytes.fromhex(value)
    return kind(value) if issubclass(kind, Enum | Decimal) else value
