"""The command itself: which subcommands there are, and what they have in common. Loads only the one that is called.

Exit status: 0 done, 1 the work failed in part, 2 wrong usage or configuration, 130 Ctrl-C, 141 nobody reads the output any
more (both as the shell counts signals).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version

import click

from collector import words
from collector.cli import borrowed, failures
from collector.cli.command import Group, everywhere
from collector.words import mark

COMMANDS: Mapping[str, str] = {
    "demo": "collector.cli.demo:demo",
    "init": "collector.cli.init:init",
    "check": "collector.cli.check:check",
    "decode": "collector.cli.decode:decode",
    "run": "collector.cli.run:run",
    "read": "collector.cli.read:read",
    "probe": "collector.cli.probe:probe",
    "meters": "collector.cli.meters:meters",
    "readings": "collector.cli.readings:readings",
    "validate": "collector.cli.validate:validate",
    "billing": "collector.cli.billing:billing",
    "report": "collector.cli.report:report",
    "simulate": "collector.cli.simulate:simulate",
    "db": "collector.cli.db:db",
}
"""Name → where it is. A command is here when it does its work, not before."""


class Shell(Group):
    """The top of the command; subcommands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Speak the environment's language from the first word on: --help is answered before --lang is looked at."""
        borrowed.speak(words.choose(None, os.environ))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand; what it fails at becomes one sentence and an exit status."""
        with failures.told(ctx):
            done = super().invoke(ctx)
            sys.stdout.flush()  # here, where a reader that has gone is still noticed quietly
            return done


@click.group(
    cls=Shell,
    help=mark("Read meters, check what they say, hand verified readings to billing."),
    example="chaobiao demo --once",
    params=everywhere(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(version("chaobiao"), prog_name="chaobiao")
def shell() -> None:
    """See `help` above: it is translated."""


def main(args: list[str] | None = None, prog_name: str = "chaobiao") -> None:
    """The entry point."""
    sys.excepthook = failures.bug
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Chinese still gets its table
    shell(args, prog_name=prog_name)
