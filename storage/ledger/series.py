"""Readings that wait for a verdict, as the series that rules look at. Pure; both adapters use it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from storage.records import Basis, Series
from storage.registry import Registered


@dataclass(frozen=True, slots=True)
class Value:
    """One column of a series."""

    time: datetime
    value: int
    resolution: int
    conflicted: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reading without a verdict, and the last released value between it and the one that waits before it."""

    registered: Registered
    quantity: str
    basis: Basis
    value: Value
    lead: Value | None


def series_of(waiting: Iterable[Waiting]) -> tuple[Series, ...]:
    """Consecutive ones together. `waiting` comes by meter, quantity, basis, time.

    A released value in between begins a new series, led by it: what lies before it is not what the next value follows.
    So does another installation, whose multipliers and start readings are its own.
    """
    runs: list[list[Waiting]] = []
    for one in waiting:
        if runs and one.lead is None and _goes_on(runs[-1][0], one):
            runs[-1].append(one)
        else:
            runs.append([one])
    return tuple(_series(run) for run in runs)


def _goes_on(first: Waiting, one: Waiting) -> bool:
    return (first.registered, first.quantity, first.basis) == (one.registered, one.quantity, one.basis)


def _series(run: list[Waiting]) -> Series:
    first = run[0]
    values = [*([first.lead] if first.lead else []), *(one.value for one in run)]
    return Series(
        registered=first.registered,
        quantity=first.quantity,
        basis=first.basis,
        times=tuple(value.time for value in values),
        values=tuple(value.value for value in values),
        resolutions=tuple(value.resolution for value in values),
        conflicted=tuple(value.conflicted for value in values),
        revisions=tuple(value.revision for value in values),
        judge_from=1 if first.lead else 0,
    )
