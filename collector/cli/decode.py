"""`chaobiao decode`: what bytes say. One JSON object a frame, or a stretch of bytes that is none."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from collector.cli.command import Command, Option
from collector.cli.failures import FAILED
from collector.errors import UsageError
from collector.words import mark, say
from protocols.dialect import Decoded, Dialect
from protocols.dialects import DIALECTS
from protocols.errors import Refused
from protocols.telegram import Garbage, Item

_CODE = re.compile(r"[a-z]+(_[a-z0-9]+)+")
"""A reason code, such as `exception_2`; where a protocol has one kind of no, what it refuses with is told in words."""
_BETWEEN = re.compile(r"[\s:,;|-]+|0[xX]|\\x")


@click.command(
    cls=Command,
    example='chaobiao decode --protocol dlt645 "68 78 56 34 12 00 00 68 11 04 33 33 34 33 C6 16"',
    help=mark(
        "Say what bytes mean, one JSON object a frame. HEX may hold spaces; - reads lines of it from standard input. "
        "Exit status 1 if anything is no good frame."
    ),
)
@click.option(
    "--protocol", cls=Option, required=True, metavar="|".join(DIALECTS), help=mark("The protocol that is spoken.")
)
@click.argument("dumps", metavar="HEX…", nargs=-1, required=True)
def decode(protocol: str, dumps: tuple[str, ...]) -> None:
    """Print what each dump says."""
    dialect = _dialect(protocol)
    if dumps == ("-",):
        good = [_tell(protocol, dialect, line) for line in _lines(sys.stdin)]
    else:
        good = [_tell(protocol, dialect, data) for data in [_bytes(dump) for dump in _apart(dumps)]]
    if not all(good):
        click.get_current_context().exit(FAILED)


def _dialect(protocol: str) -> Dialect:
    if protocol not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise UsageError(
            say('"{protocol}" is no protocol that can be decoded; there are: {known}', protocol=protocol, known=known)
        )
    return DIALECTS[protocol]


def _apart(dumps: tuple[str, ...]) -> tuple[str, ...]:
    """Each argument is a dump, unless the bytes stand apart as they do in logs: `68 78 56 …` without quotes."""
    return ("".join(dumps),) if all(len(dump) <= 2 for dump in dumps) else dumps


def _bytes(dump: str) -> bytes:
    digits = _BETWEEN.sub("", dump)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise UsageError(say('"{dump}" is no row of hexadecimal digits in pairs', dump=dump[:80])) from None


def _lines(stream: Iterable[str]) -> Iterator[bytes | str]:
    """Bytes of each line, or a line that holds none; blank lines and those that begin with # are passed over."""
    for line in stream:
        dump = line.strip()
        if not dump or dump.startswith("#"):
            continue
        try:
            yield _bytes(dump)
        except UsageError:
            yield dump


def _tell(protocol: str, dialect: Dialect, dump: bytes | str) -> bool:
    if isinstance(dump, str):
        shapes = [no_frame(protocol, f"not_hex: {dump[:80]}", None)]
    else:
        decoded = dialect.decode(dump)
        shapes = [shape(protocol, one) for one in decoded] or [no_frame(protocol, "wrong_length: no frame", dump)]
    for one in shapes:
        click.echo(json.dumps(one, ensure_ascii=False))
    return all(one["ok"] for one in shapes)


def shape(protocol: str, decoded: Decoded) -> dict[str, Any]:
    """The JSON object of one frame (DESIGN §7). A device's "no" is a good frame, and its `error` says what it refuses."""
    event = decoded.event
    if isinstance(event, Garbage):
        said = no_frame(protocol, f"{event.error.code}: {event.error.detail}", event.data)
        return said | {"ok": isinstance(event.error, Refused)}
    refused = event.detail.get("refused")
    items = [_item(item) for item in decoded.items]
    if not items and (asked := event.detail.get("id")):
        items = [_item(Item(asked))]  # a question says what it is about
    if refused and not _CODE.fullmatch(refused):
        refused = f"refused: {refused}"
    return no_frame(protocol, refused or None, event.frame) | {
        "ok": True,
        "address": event.address,
        "function": f"{event.function:02X}",
        "items": items,
    }


def no_frame(protocol: str, error: str | None, data: bytes | None) -> dict[str, Any]:
    """The same keys for bytes that are none; without bytes for a line that holds none."""
    frame = None if data is None else data.hex(" ").upper()
    return {
        "protocol": protocol,
        "ok": False,
        "error": error,
        "address": None,
        "function": None,
        "items": [],
        "frame": frame,
    }


def _item(item: Item) -> dict[str, Any]:
    """`time` is the meter's own stamp, naive where the meter names no offset."""
    return {
        "id": item.id,
        "value": None if item.value is None else f"{item.value:f}" if not isinstance(item.value, str) else item.value,
        "unit": item.unit,
        "quantity": item.quantity,
        "time": None if item.time is None else item.time.isoformat(),
        "raw": item.raw.hex(" ").upper(),
    }
