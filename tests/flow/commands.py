"""The command `chaobiao` in tests: in this process, or in one of its own where signals and pipes matter."""

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner, Result

from collector.cli.main import shell

READING_KEYS = [
    *("meter", "point", "quantity", "time", "basis", "value", "unit", "kind", "quality", "source", "revision"),
    "received_at",
]
"""What every reading printed as JSON was promised to have, in this order (docs/commands.md)."""
PLAIN = {"LANGUAGE": "en", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "CHAOBIAO_CONFIG": "", "TERM": "xterm"}
"""Whatever the machine is set to; a service manager's or a chroot's TERM=dumb would show no progress."""


def run(*args: object, stdin: str | None = None, language: str = "en") -> Result:
    """Run the command here; an exception that nobody foresaw goes through."""
    environment = {**PLAIN, "LANGUAGE": language}
    result = CliRunner().invoke(shell, [str(arg) for arg in args], input=stdin, env=environment, prog_name="chaobiao")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def start(
    *args: object, code: str = "from collector.cli.main import main; main()", **options: Any
) -> subprocess.Popen[str]:
    """Start it in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, args)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(command, text=True, env={**_environment(), **PLAIN}, **pipes)


def _environment() -> dict[str, str]:
    return dict(os.environ)


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    status: int
    out: str
    err: str


def finish(process: subprocess.Popen[str], stdin: str | None = None) -> Ended:
    """Give it its input, wait for its end."""
    out, err = process.communicate(stdin, timeout=30)
    return Ended(process.returncode, out or "", err or "")
