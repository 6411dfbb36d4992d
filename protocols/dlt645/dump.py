"""A dump: every frame in a row of bytes, and what each says by itself. For `chaobiao decode`."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.dialect import Decoded
from protocols.dlt645 import identifiers, load_records
from protocols.dlt645.address import from_wire
from protocols.dlt645.answers import ADDRESS
from protocols.dlt645.controls import FOLLOW_UP, READ, READ_ADDRESS
from protocols.dlt645.frame import Frame, Framer
from protocols.dlt645.session import address_objection, telegram
from protocols.errors import UnexpectedBytes
from protocols.telegram import Garbage, Item, Telegram

_FEED = 256
"""Bytes looked at together: less than a framer holds, so that none is given up for want of room."""


def decode(data: bytes) -> list[Decoded]:
    """Frames in either direction, in order, and the bytes that are none. An error answer is a frame like others."""
    framer, found = Framer(), list[Decoded]()
    for start in range(0, len(data), _FEED):
        framer.receive(data[start : start + _FEED])
        found += _drain(framer)
    framer.idle()
    found += _drain(framer)
    if data and not found:
        found.append(Decoded(Garbage(data, UnexpectedBytes("no frame, only filler", data=data))))
    return found


def _drain(framer: Framer) -> Iterator[Decoded]:
    while (event := framer.next()) is not None:
        if isinstance(event, Garbage):
            yield Decoded(event)
        else:
            said = telegram(event)
            yield Decoded(said, _items(event, said), "answer" if event.is_answer else "request")


def _items(frame: Frame, said: Telegram) -> tuple[Item, ...]:
    if not frame.is_answer or frame.is_error:
        return ()
    if frame.function == READ_ADDRESS:
        wrong = address_objection(frame)
        told = from_wire(said.payload) if wrong is None else None
        return (Item(ADDRESS, said.payload, value=told, reason=wrong.code if wrong else ""),)
    identifier = said.detail.get("id")
    if identifier is None or frame.function not in (READ, FOLLOW_UP):
        return ()
    if frame.more or frame.function == FOLLOW_UP:
        return (Item(identifier, said.payload, reason="unfinished"),)
    if load_records.RECORD.fullmatch(identifier):
        return load_records.items(identifier, said.payload)
    return identifiers.items(identifier, said.payload)
