"""What two keys of `collector.toml` say of each other. One check, one function, one visible list.

The checks look at the file as it was read, not at the frozen records: a channel with a wrong timeout has no record, and a
second mistake in it must be seen all the same. So each check passes over what has the wrong type or is missing; the schema
has spoken of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from collector.settings.durations import parse_duration, parse_offset, show_duration
from collector.settings.fields import byte_text, clock_time
from collector.settings.findings import Finding
from collector.settings.link_url import LinkUrl, parse_link
from collector.settings.protocol_names import WAYS
from collector.settings.spelling import did_you_mean
from storage.records import WORDS

Data = dict[str, Any]


def crosscheck(data: Data) -> list[Finding]:
    """All that the checks find."""
    return [finding for check in CHECKS for finding in check(data)]


def _tables(data: Data, *path: str) -> Iterator[tuple[int, Data]]:
    here: Any = data
    for key in path:
        here = here.get(key) if isinstance(here, dict) else None
    if isinstance(here, list):
        yield from ((index, table) for index, table in enumerate(here) if isinstance(table, dict))


def _link(channel: Data) -> LinkUrl | None:
    with suppress(ValueError):
        return parse_link(channel["link"]) if isinstance(channel.get("link"), str) else None
    return None


def _span(table: Data, key: str, parse: Callable[[str], timedelta], default: str) -> timedelta | None:
    with suppress(ValueError):
        written = table.get(key, default)
        return parse(written) if isinstance(written, str) else None
    return None


def _minute(table: Data, key: str) -> int | None:
    with suppress(ValueError):
        return clock_time(table[key]) if key in table else None
    return None


def _identity(channel: Data) -> bytes | None:
    with suppress(ValueError):
        return byte_text(channel["identity"]) if "identity" in channel else None
    return None


def _texts(table: Data, key: str) -> Iterator[tuple[int, str]]:
    found = table.get(key)
    if isinstance(found, list):
        yield from ((index, one) for index, one in enumerate(found) if isinstance(one, str))


def names_stand_once(data: Data) -> Iterator[Finding]:
    """Channels, plans and billing groups are known by their names."""
    for path in (("channel",), ("plan",), ("billing", "group")):
        first: dict[str, int] = {}
        for index, table in _tables(data, *path):
            name = table.get("name")
            if not isinstance(name, str):
                continue
            if name in first:
                other = ".".join((*path, str(first[name])))
                yield Finding((*path, index, "name"), f'"{name}" is the name of {other} already; each needs its own')
            first.setdefault(name, index)


def links_carry_their_protocol(data: Data) -> Iterator[Finding]:
    """Not every medium carries every protocol."""
    for index, channel in _tables(data, "channel"):
        link, protocol = _link(channel), channel.get("protocol")
        if link and isinstance(protocol, str) and protocol in WAYS and link.scheme not in WAYS[protocol].schemes:
            allowed = ", ".join(f"{scheme}://" for scheme in WAYS[protocol].schemes)
            yield Finding(
                ("channel", index, "link"), f"{protocol} cannot go over {link.scheme}://; it goes over {allowed}"
            )


def brokers_have_topics(data: Data) -> Iterator[Finding]:
    """Topics, user and password belong to a broker; a broker without topics gives nothing."""
    for index, channel in _tables(data, "channel"):
        link = _link(channel)
        if link is None:
            continue
        place = ("channel", index)
        if link.scheme == "mqtt" and not channel.get("topics"):
            yield Finding(
                (*place, "topics"), 'is missing; a channel on mqtt:// is written with topics = ["meters/+/reading"]'
            )
        for key in ("topics", "also", "ack", "resend", "canary", "username", "password_file"):
            takes = ("mqtt", "mqtt-tunnel") if key in ("username", "password_file") else ("mqtt",)
            if key in channel and link.scheme not in takes:
                yield Finding((*place, key), f"has no meaning on {link.scheme}://; it belongs to mqtt://")
        for key in ("ack", "resend"):
            heard = _hears(channel, key)
            if heard is not None:
                yield Finding(
                    (*place, key), f'is heard by our own topic "{heard}"; concentrators need one of their own'
                )
        if isinstance(channel.get("canary"), str) and link.scheme == "mqtt" and _hears(channel, "canary") is None:
            says = "is heard by none of our own topics; it must be, as it is to come back to us"
            yield Finding((*place, "canary"), says)
        if "password_file" in channel and "username" not in channel:
            yield Finding((*place, "password_file"), "a password needs a username beside it")


def _hears(channel: Data, key: str) -> str | None:
    """The topic filter of a channel by which it would get what it publishes itself."""
    said = channel.get(key)
    if not isinstance(said, str):
        return None
    levels = said.split("/")
    for _, topic in _texts(channel, "topics"):
        wanted = topic.split("/")
        if wanted[-1] == "#":
            wanted = wanted[:-1] + levels[len(wanted) - 1 :]
        if len(wanted) == len(levels) and all(
            a in ("+", b) or b == "{sender}" for a, b in zip(wanted, levels, strict=True)
        ):
            return topic
    return None


def callers_say_who_they_are(data: Data) -> Iterator[Finding]:
    """A device that dials in is known by its registration packet, and two devices on a port by two of them. Behind one
    device there may be two protocols, as on any bus.
    """
    seen: dict[tuple[str, bytes, str], int] = {}
    for index, channel in _tables(data, "channel"):
        link, identity = _link(channel), _identity(channel)
        if link is None:
            continue
        for key in ("identity", "heartbeat"):
            if key in channel and link.scheme != "listen":
                yield Finding(("channel", index, key), f"has no meaning on {link.scheme}://; it belongs to listen://")
        if link.scheme == "listen" and "identity" not in channel:
            yield Finding(
                ("channel", index, "identity"),
                'is missing; a device that dials in is known by it, as in identity = "4712"',
            )
        if link.scheme == "listen" and identity is not None:
            protocol = str(channel.get("protocol"))  # the schema says what it must be; here it may still be a table
            first = seen.setdefault((link.medium, identity, protocol), index)
            if first != index:
                says = f'"{channel["identity"]}" is the identity of channel.{first} on this port already'
                yield Finding(("channel", index, "identity"), says)


def shared_links_agree(data: Data) -> Iterator[Finding]:
    """One serial port has one baud rate and one adapter, whoever uses it; one modem has one heartbeat."""
    first: dict[tuple[str, bytes | None], tuple[int, LinkUrl, Data]] = {}
    for index, channel in _tables(data, "channel"):
        link = _link(channel)
        if link is None:
            continue
        other, known, settings = first.setdefault((link.medium, _identity(channel)), (index, link, channel))
        shares = f"shares its medium with channel.{other}"
        if (known.line, known.back) != (link.line, link.back):
            yield Finding(("channel", index, "link"), f"{shares} ({known.text}) and must be set like it")
        if channel.get("echo", False) != settings.get("echo", False):
            yield Finding(("channel", index, "echo"), f"{shares} and must have the same echo")
        if channel.get("heartbeat") != settings.get("heartbeat"):
            yield Finding(("channel", index, "heartbeat"), f"{shares} and must have the same heartbeat")


def questions_in_flight_have_numbers(data: Data) -> Iterator[Finding]:
    """Only Modbus TCP says which question an answer belongs to; and a gateway is shared by who agrees on how many."""
    first: dict[str, tuple[int, Data]] = {}
    for index, channel in _tables(data, "channel"):
        place, wide = ("channel", index, "in_flight"), channel.get("in_flight", 1) not in (1, True)
        if wide and channel.get("protocol") in WAYS and channel["protocol"] != "modbus-tcp":
            yield Finding(place, f"has no meaning for {channel['protocol']}; its questions are asked one by one")
        if (link := _link(channel)) is None:
            continue
        other, settings = first.setdefault(f"{link.medium} {channel.get('identity')}", (index, channel))
        if channel.get("in_flight", 1) != settings.get("in_flight", 1):
            yield Finding(place, f"shares its medium with channel.{other} and must have the same in_flight")


def answers_come_within_bounds(data: Data) -> Iterator[Finding]:
    """The worst reply cannot come before the timeout."""
    for index, channel in _tables(data, "channel"):
        timeout, worst = (
            _span(channel, "timeout", parse_duration, "1s"),
            _span(channel, "worst_reply", parse_duration, ""),
        )
        if timeout is not None and worst is not None and worst < timeout:
            says = f"{show_duration(worst)} is shorter than the timeout, {show_duration(timeout)}"
            yield Finding(("channel", index, "worst_reply"), says)


def plans_have_one_timetable(data: Data) -> Iterator[Finding]:
    """`at` or `every`."""
    for index, plan in _tables(data, "plan"):
        if "at" in plan and "every" in plan:
            yield Finding(
                ("plan", index, "every"), 'stands beside at; a plan has one of them: at = "00:05" or every = "15m"'
            )
        if "at" not in plan and "every" not in plan:
            yield Finding(("plan", index), 'has no timetable; write at = "00:05" (each day) or every = "15m"')
        every = _span(plan, "every", parse_duration, "")
        if every is not None and every % timedelta(seconds=1):
            yield Finding(("plan", index, "every"), f"{show_duration(every)} is no whole number of seconds")


def plans_fit_their_basis(data: Data) -> Iterator[Finding]:
    """Each basis has its own calendar."""
    for index, plan in _tables(data, "plan"):
        place, basis = ("plan", index), plan.get("basis", "instant")
        if basis == "curve" and "at" in plan:
            yield Finding((*place, "at"), 'is no grid; a curve is written with every = "15m"')
        if basis == "settlement" and "every" in plan:
            says = (
                'has no meaning with basis = "settlement"; write at = "00:05", and days = [1] for the days of the month'
            )
            yield Finding((*place, "every"), says)
        if basis != "settlement" and "days" in plan:
            yield Finding((*place, "days"), f'has no meaning with basis = "{basis}"; it belongs to "settlement"')
        for number, wanted in _texts(plan, "read"):
            if wanted in WORDS and basis != "instant":
                says = f'"{wanted}" has no basis; give it a plan of its own, without basis'
                yield Finding((*place, "read", number), says)
            elif "*" in wanted and basis == "settlement":
                says = f"{wanted} names a copy; which copy it is, is found by its day: write {wanted.partition('*')[0]}"
                yield Finding((*place, "read", number), says)


def plans_spans_fit(data: Data) -> Iterator[Finding]:
    """Spread over the window at most; a running value is open until the next; a first round that cannot be is none."""
    for index, plan in _tables(data, "plan"):
        place, basis = ("plan", index), plan.get("basis", "instant")
        every, window, jitter = (_span(plan, key, parse_duration, "") for key in ("every", "window", "jitter"))
        for key, found in (("window", window), ("jitter", jitter)):
            if found is not None and found % timedelta(seconds=1):
                yield Finding((*place, key), f"{show_duration(found)} is no whole number of seconds")
        if basis == "instant" and every is not None and window is not None and window > every:
            says = f"{show_duration(window)} is longer than every; a value as it runs is the next slot's by then"
            yield Finding((*place, "window"), says)
        limit = window or every
        if jitter is not None and limit is not None and jitter > limit:
            says = f"{show_duration(jitter)} is longer than a slot stays open, {show_duration(limit)}"
            yield Finding((*place, "jitter"), says)
        at, cutoff = _minute(plan, "at"), _minute(plan, "cutoff")
        if basis not in ("freeze", "settlement") or at is None or cutoff is None:
            continue  # of other kinds the cut-off is a day later
        if timedelta(minutes=at) + (jitter or timedelta()) >= timedelta(minutes=cutoff):
            says = f"{plan['cutoff']} is before the last meter is asked, at {plan['at']} and its jitter"
            yield Finding((*place, "cutoff"), says)


def plans_read_each_thing_once(data: Data) -> Iterator[Finding]:
    """The same code twice is a slip of the hand."""
    for index, plan in _tables(data, "plan"):
        seen: set[str] = set()
        for place, wanted in _texts(plan, "read"):
            if wanted in seen:
                yield Finding(("plan", index, "read", place), f"{wanted} stands twice")
            seen.add(wanted)


def plans_name_known_channels(data: Data) -> Iterator[Finding]:
    """A plan for a channel that is not there would never read anything."""
    known = [channel["name"] for _, channel in _tables(data, "channel") if isinstance(channel.get("name"), str)]
    for index, plan in _tables(data, "plan"):
        for place, name in _texts(plan, "channels"):
            if name not in known:
                allowed = ", ".join(known) or "none; add a [[channel]]"
                yield Finding(
                    ("plan", index, "channels", place),
                    f'there is no channel "{name}"{did_you_mean(name, known)}; channels are: {allowed}',
                )


def channels_name_known_channels(data: Data) -> Iterator[Finding]:
    """Meters that push here as well must be somebody's."""
    known = [channel["name"] for _, channel in _tables(data, "channel") if isinstance(channel.get("name"), str)]
    for index, channel in _tables(data, "channel"):
        for place, name in _texts(channel, "also"):
            if name not in known or name == channel.get("name"):
                says = f'there is no other channel "{name}"{did_you_mean(name, known)}'
                yield Finding(("channel", index, "also", place), says)


def release_follows_cutoff(data: Data) -> Iterator[Finding]:
    """Estimates begin at the cut-off; released before it, they would not be there."""
    for index, group in _tables(data, "billing", "group"):
        cutoff, release = _span(group, "cutoff", parse_offset, "+3d"), _span(group, "release", parse_offset, "+4d")
        if cutoff is not None and release is not None and release < cutoff:
            says = f"+{show_duration(release)} is before the cut-off, +{show_duration(cutoff)}"
            yield Finding(("billing", "group", index, "release" if "release" in group else "cutoff"), says)


def clocks_are_told_in_a_quiet_hour(data: Data) -> Iterator[Finding]:
    """A step of the clock near a whole hour or midnight repeats or skips a freeze, and so it does in an hour in which plans
    read.
    """
    clock = data.get("clock")
    if not isinstance(clock, dict) or clock.get("correct") not in ("broadcast", "set"):
        return
    with suppress(ValueError, AttributeError):
        hour, minute = map(int, clock.get("at", "10:22").split(":"))
        if not 10 <= minute <= 50 or hour in (23, 0):
            yield Finding(
                ("clock", "at"), "clocks are told the time from ten past to ten to an hour, and not around midnight"
            )
        for index, plan in _tables(data, "plan"):
            if isinstance(plan.get("at"), str) and plan["at"].startswith(f"{hour:02d}:"):
                says = f"plan.{index} reads in this hour; clocks are told the time in an hour in which no plan does"
                yield Finding(("clock", "at"), says)


CHECKS: tuple[Callable[[Data], Iterator[Finding]], ...] = (
    names_stand_once,
    links_carry_their_protocol,
    brokers_have_topics,
    callers_say_who_they_are,
    shared_links_agree,
    questions_in_flight_have_numbers,
    answers_come_within_bounds,
    plans_have_one_timetable,
    plans_fit_their_basis,
    plans_spans_fit,
    plans_read_each_thing_once,
    plans_name_known_channels,
    channels_name_known_channels,
    release_follows_cutoff,
    clocks_are_told_in_a_quiet_hour,
)
