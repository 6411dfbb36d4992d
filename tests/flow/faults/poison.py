"""Payloads that no profile can read, in every way that meters and gateways have found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from tests.flow.faults.street import ENERGY, START

TIME = START.isoformat()


def _good() -> dict[str, object]:
    return {"time": TIME, "values": {ENERGY: "815.25"}, "seq": 7}


def _noise(dice: random.Random) -> bytes:
    return b"\xff" + dice.randbytes(dice.randrange(200))


def _cut_off(dice: random.Random) -> bytes:
    whole = json.dumps(_good()).encode()
    return whole[: dice.randrange(len(whole))]


def _no_number(dice: random.Random) -> bytes:
    word = dice.choice(["NaN", "Infinity", "-Infinity"])
    return json.dumps(_good()).replace('"815.25"', word).encode()


def _odd_text(dice: random.Random) -> bytes:
    value = dice.choice(["12,5", "0x1F", "", " ", "1_000", "٣", "nan", "--1", "1.2.3", "815.25 kWh"])
    return json.dumps(_good() | {"values": {ENERGY: value}}).encode()


def _wrong_type(dice: random.Random) -> bytes:
    value = dice.choice([True, [], {}, ["1"], {"v": 1}])
    return json.dumps(_good() | {"values": {ENERGY: value}}).encode()


def _wrong_shape(dice: random.Random) -> bytes:
    whole = _good()
    del whole[dice.choice(["time", "values"])]
    return json.dumps(dice.choice([whole, [whole], "text", 7, None, {"values": whole}])).encode()


def _wrong_time(dice: random.Random) -> bytes:
    time = dice.choice(
        ["", "yesterday", "2026-02-30T00:00:00Z", "2026-03-15T00:00:00", 17, None, "9999-12-31T23:59:59Z"]
    )
    return json.dumps(_good() | {"time": time}).encode()


def _too_much(dice: random.Random) -> bytes:
    return json.dumps(_good() | {"note": "x" * (66_000 + dice.randrange(1000))}).encode()


def _too_deep(dice: random.Random) -> bytes:
    depth = dice.randrange(200, 2000)
    return b'{"time":' + b"[" * depth + b"]" * depth + b"}"


def _too_large(dice: random.Random) -> bytes:
    return json.dumps(_good() | {"values": {ENERGY: f"1e{dice.randrange(20, 5000)}"}}).encode()


def _twice(dice: random.Random) -> bytes:
    return json.dumps(_good())[:-1].encode() + b',"time":"' + TIME.encode() + b'"}'


KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    *(_noise, _cut_off, _no_number, _odd_text, _wrong_type, _wrong_shape, _wrong_time, _too_deep, _too_large, _twice),
    _too_much,
)


def poison(dice: random.Random) -> bytes:
    """One of them."""
    return dice.choice(KINDS)(dice)
