"""The command `chaobiao`: words for people, exit statuses for scripts; it decides nothing itself."""

from importlib.metadata import version

import click


@click.group()
@click.version_option(version("chaobiao"), prog_name="chaobiao")
def main() -> None:
    """Read meters, check what they say, hand verified readings to billing."""
