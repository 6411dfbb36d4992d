"""No float ever holds an energy: where values are carried, judged or charged, the very word is absent.

Only what the source says can be seen here: a float that comes back from a library call is the business of the types.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.sources import ROOT, python_files

EXACT = ("protocols", "storage.records", "storage.values", "collector.normalise", "collector.vee", "collector.billing")
STRUCT_FLOAT = re.compile(r"[@=<>!]?[0-9a-zA-Z?]*[efd][0-9a-zA-Z?]*")


def floats(source: str) -> Iterator[str]:
    """Each place where a float is named, written, or unpacked from bytes."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id="float") | ast.Name(id="complex"):
                yield f"{node.lineno}: the name {node.id}"
            case ast.Constant(value=float() | complex()):
                yield f"{node.lineno}: the literal {node.value!r}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="struct")), args=[ast.Constant(value=str(layout)), *_]):
                if STRUCT_FLOAT.fullmatch(layout):
                    yield f"{node.lineno}: struct layout {layout!r}"
            case ast.ImportFrom(module="math") | ast.Import(names=[ast.alias(name="math")]):
                yield f"{node.lineno}: math computes in floats"


def test_exact_rooms_name_no_float() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{place}"
        for path in python_files(*EXACT)
        for place in floats(path.read_text("utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "def kwh(value: float) -> int: ...",
        "x = 0.001",
        "x = float('1.5')",
        "import struct\nx = struct.unpack('>f', b'....')",
        "import struct\nx = struct.Struct('>Hd')",
        "import math",
        "from math import floor",
    ],
)
def test_guard_is_red(source: str) -> None:
    assert list(floats(source))


def test_guard_is_green_on_exact_arithmetic() -> None:
    source = "import struct\nfrom decimal import Decimal\nx = Decimal('0.001')\ny = struct.unpack('>HHI', b'')\n"
    assert not list(floats(source))
