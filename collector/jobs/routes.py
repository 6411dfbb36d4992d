"""From configured channels to lines that can be asked. Channels with the same medium share one line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from collector.acquisition.line import Line
from collector.acquisition.links import Beside, make_link
from collector.acquisition.listening import Ports
from collector.acquisition.pipelined_line import PipelinedLine
from collector.acquisition.serial_link import byte_s
from collector.acquisition.timing import CARRIED_GAP_S, CONNECT_S, TURN_S, Timing, turn_s
from collector.clock import Clock
from collector.jobs.route import Route
from collector.settings.link_url import LinkUrl
from collector.settings.schema import Channel
from collector.settings.secrets import channel_password
from protocols.dialect import Dialect
from protocols.dialects import DIALECTS


def no_channel(channel: str) -> tuple[str, str]:
    """Reason and detail for a meter that the ledger has on a channel which is configured no more."""
    return "no_channel", f"the configuration has no channel {channel!r}"


def channel_of(link: LinkUrl, channels: Iterable[Channel]) -> Channel | None:
    """The channel that has this medium. (One that is dialled into is not known by its URL.)"""
    return next((one for one in channels if one.identity is None and one.link.medium == link.medium), None)


def line_key(channel: Channel) -> str:
    """What makes a line another one: its URL as it is written, baud rate and all, and what stands beside it."""
    beside = (
        channel.in_flight,
        channel.echo,
        channel.identity,
        channel.heartbeat,
        channel.username,
        channel.password_file,
    )
    return f"{channel.medium} {channel.link.text} {beside!r}"


def routes_for(
    channels: Iterable[Channel],
    clock: Clock,
    ports: Ports,
    *,
    call_s: float = CONNECT_S,
    keep: Mapping[str, Line] | None = None,
) -> dict[str, Route]:
    """A route for every channel that is polled; those that push (MQTT) have none.

    `keep`: lines in use by `line_key`; one that is asked for again is taken as it is, with its quarantine.
    `ports`: where devices dial in; open as long as the routes are used. `call_s`: how long a poll waits for such a call.
    """
    lines: dict[str, Line] = {}
    routes: dict[str, Route] = {}
    for channel in channels:
        dialect = DIALECTS.get(channel.protocol)
        if dialect is None:
            continue
        line = lines.get(channel.medium)
        if line is None:
            line = (keep or {}).get(line_key(channel)) or _line(channel, clock, ports)
            lines[channel.medium] = line
        least_s = CARRIED_GAP_S if channel.link.scheme in ("listen", "mqtt-tunnel") else 0.0
        gap_s = max(least_s, dialect.gap_ms / 1000) if channel.gap is None else channel.gap.total_seconds()
        timing = Timing(
            timeout_s=channel.timeout.total_seconds(),
            retries=channel.retries,
            worst_reply_s=channel.quarantine.total_seconds(),
            gap_s=gap_s,
            connect_s=call_s if channel.link.scheme == "listen" else CONNECT_S,
            silence_s=_silence_s(channel.link, dialect),
        )
        routes[channel.name] = Route(channel.name, line, dialect, timing)
    return routes


def _line(channel: Channel, clock: Clock, ports: Ports) -> Line:
    link = make_link(channel.link.text, _beside(channel), ports)
    return PipelinedLine(link, clock, in_flight=channel.in_flight) if channel.in_flight > 1 else Line(link, clock)


def _silence_s(link: LinkUrl, dialect: Dialect) -> float:
    """Before a question; a serial server behind `tcp://` is set by hand, and does not tell how fast."""
    return turn_s(dialect.turn_chars, byte_s(link.line)) if link.scheme in ("serial", "rfc2217") else TURN_S


def _beside(channel: Channel) -> Beside:
    password = channel_password(channel, os.environ)
    return Beside(channel.echo, channel.identity or b"", channel.heartbeat or b"", channel.username, password)
