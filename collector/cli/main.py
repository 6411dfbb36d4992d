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
from collector.cli.command import Group, Option, everywhere
from collector.words import mark, say

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": (
        "collector.cli.demo:demo",
        mark("A simulated district and the collector beside it, on SQLite, with no configuration"),
    ),
    "init": ("collector.cli.init:init", mark("Write a commented configuration and a registry file to start from")),
    "check": (
        "collector.cli.check:check",
        mark("Check configuration, profiles and, where it exists, the registry file"),
    ),
    "decode": ("collector.cli.decode:decode", mark("Say what bytes mean, one JSON object a frame")),
    "run": ("collector.cli.run:run", mark("Collect, judge and hand over until told to stop")),
    "read": ("collector.cli.read:read", mark("Read meters once, now: collect, store and print what they say")),
    "probe": (
        "collector.cli.probe:probe",
        mark(
            "Read one device with no configuration: all that a profile has, or without one what is usual in the protocol"
        ),
    ),
    "scan": ("collector.cli.scan:scan", mark("Find the devices on a line")),
    "plans": ("collector.cli.plans:plans", mark("Timetables: what is read, from whom, when")),
    "meters": ("collector.cli.meters:meters", mark("The registry: which meter is where")),
    "readings": ("collector.cli.readings:readings", mark("What was read")),
    "validate": (
        "collector.cli.validate:validate",
        mark(
            "Judge every reading that has no verdict yet: verified if no rule speaks, else suspect with the rules that spoke"
        ),
    ),
    "billing": ("collector.cli.billing:billing", mark("Hand verified readings over to billing")),
    "report": ("collector.cli.report:report", mark("The operations figures")),
    "clock": ("collector.cli.clock:clock", mark("The meters' own clocks: what they show, and setting one")),
    "simulate": (
        "collector.cli.simulate:simulate",
        mark("Simulated meters on real sockets of this host, in real time, until Ctrl-C"),
    ),
    "pause": (
        "collector.cli.pause:pause",
        mark("Leave a plan, a meter or a channel out until it is resumed"),
    ),
    "resume": ("collector.cli.pause:resume", mark("Take up what was paused")),
    "db": ("collector.cli.db:db", mark("The database: its schema, and what is in it")),
}
"""Name → where it is, and the first sentence of its help, so that a list of all loads none of them. A test compares."""


class Shell(Group):
    """The top of the command; subcommands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each with its first sentence."""
        with formatter.section(say("Commands")):
            formatter.write_dl([(name, say(sentence)) for name, (_, sentence) in COMMANDS.items()])

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
@click.version_option(version("chaobiao"), prog_name="chaobiao", cls=Option, help=mark("Show the version and exit."))
def shell() -> None:
    """See `help` above: it is translated."""


def main(args: list[str] | None = None, prog_name: str = "chaobiao") -> None:
    """The entry point."""
    sys.excepthook = failures.bug
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Chinese still gets its table
    shell(args, prog_name=prog_name)
