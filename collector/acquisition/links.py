"""Link URL → link: the one table that knows every kind of link. What a URL may say is written in `settings.link_url`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from collector.acquisition.echo_link import EchoLink
from collector.acquisition.link import Link
from collector.acquisition.listening import Ports
from collector.acquisition.rfc2217_link import Rfc2217Link
from collector.acquisition.serial_link import SerialLink
from collector.acquisition.spared_link import SparedLink
from collector.acquisition.tcp_link import TcpLink
from collector.acquisition.tunnel_link import TunnelEnds, TunnelLink
from collector.clock import SystemClock
from collector.errors import UsageError
from collector.settings.link_url import LinkUrl, parse_link


@dataclass(frozen=True, slots=True)
class Beside:
    """What a channel says of its link beside the URL.

    `echo`: the line hands back what is sent on it (two-wire RS-485), and that is swallowed. `identity`, `heartbeat`: how a
    device that dials in is known, and what it says in between. `username`, `password`: ours at a broker.
    """

    echo: bool = False
    identity: bytes = b""
    heartbeat: bytes = b""
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def _dial_in(url: LinkUrl, beside: Beside, ports: Ports) -> Link:
    if not beside.identity:
        raise UsageError(
            f"{url.text!r}: who dials in is known by its registration packet, the identity of a channel; "
            "write one into the configuration and use read"
        )
    return ports.link(url.host, url.port, beside.identity, beside.heartbeat)


def _tunnel(url: LinkUrl, beside: Beside) -> Link:
    there = TunnelEnds(url.host, url.port, url.path, url.back)
    return TunnelLink(there, SystemClock(), username=beside.username, password=beside.password)


_MAKERS: dict[str, Callable[[LinkUrl, Beside, Ports], Link]] = {
    "tcp": lambda url, _, __: SparedLink(TcpLink(url.host, url.port)),
    "serial": lambda url, _, __: SerialLink(url.path, url.line, name=url.text),
    "listen": _dial_in,
    "mqtt-tunnel": lambda url, beside, _: SparedLink(_tunnel(url, beside)),
    "rfc2217": lambda url, _, __: SparedLink(Rfc2217Link(url.host, url.port, url.line)),
}


def make_link(text: str, beside: Beside = Beside(), ports: Ports | None = None) -> Link:
    """A link that is not yet open. `ports`: the listening ports that it shares; the caller opens and closes them.

    :raises UsageError: for what is no link, and for a kind that meters cannot be read over.
    """
    try:
        url = parse_link(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
    maker = _MAKERS.get(url.scheme)
    if maker is None:
        kinds = " and ".join(f"{scheme}://" for scheme in _MAKERS)
        raise UsageError(f"{text!r} is a broker: meters push to it and are not asked; {kinds} can be read from")
    link = maker(url, beside, Ports() if ports is None else ports)
    return EchoLink(link) if beside.echo else link
