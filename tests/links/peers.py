"""Devices that we did not write, each a process of its own in its own virtual environment (`make .peers/NAME/.locked`)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@contextmanager
def _running(name: str, script: str, given: Mapping[str, object]) -> Iterator[int]:
    """The port that the peer listens on; it ends with the block."""
    python = ROOT / ".peers" / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"the peer {name} is not installed: make .peers/{name}/.locked")
    command = [str(python), str(ROOT / "tests" / "peers" / script), json.dumps(given)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            line = process.stdout.readline()
            assert line.strip().isdigit(), f"{name} did not start"
            yield int(line)
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@contextmanager
def pymodbustcp_server(
    *,
    holding: Mapping[int, Sequence[int]] | None = None,
    input_: Mapping[int, Sequence[int]] | None = None,
    identity: Sequence[str] = (),
    size: int = 0x10000,
) -> Iterator[int]:
    """A Modbus TCP device of the project pyModbusTCP; words by first wire address. It answers every unit.

    Reading beyond `size` is refused with exception 2. `identity`: vendor, product, revision for function 43.
    """
    given = {"holding": holding or {}, "input": input_ or {}, "identity": list(identity), "size": size}
    with _running("pymodbustcp", "pymodbustcp_server.py", given) as port:
        yield port


@contextmanager
def dlt645_meter(
    address: str,
    *,
    energy: Mapping[str, float] | None = None,
    variable: Mapping[str, float] | None = None,
    parameter: Mapping[str, str] | None = None,
    password: str | None = None,
) -> Iterator[int]:
    """A DL/T 645-2007 meter of the PyPI package dlt645 over TCP; values by data identifier (eight hex digits).

    It answers a foreign address with an error frame instead of being silent.
    """
    given: dict[str, object] = {"address": address, "energy": energy or {}, "variable": variable or {}}
    given |= {"parameter": parameter or {}} | ({} if password is None else {"password": password})
    with _running("dlt645", "dlt645_server.py", given) as port:
        yield port
