"""Link URL → link: the one table that knows every kind of link. What a URL may say is written in `settings.link_url`."""

from __future__ import annotations

from collections.abc import Callable

from collector.acquisition.echo_link import EchoLink
from collector.acquisition.link import Link
from collector.acquisition.serial_link import SerialLink
from collector.acquisition.tcp_link import TcpLink
from collector.errors import UsageError
from collector.settings.link_url import LinkUrl, parse_link

_MAKERS: dict[str, Callable[[LinkUrl], Link]] = {
    "tcp": lambda url: TcpLink(url.host, url.port),
    "serial": lambda url: SerialLink(url.path, url.line, name=url.text),
}


def make_link(text: str, *, echo: bool = False) -> Link:
    """A link that is not yet open. `echo`: the line hands back what is sent on it (two-wire RS-485), and that is swallowed.

    :raises UsageError: for what is no link, and for a kind that meters cannot be read over (yet).
    """
    try:
        url = parse_link(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
    maker = _MAKERS.get(url.scheme)
    if maker is None:
        kinds = " and ".join(f"{scheme}://" for scheme in _MAKERS)
        if url.scheme == "mqtt":
            raise UsageError(f"{text!r} is a broker: meters push to it and are not asked; {kinds} can be read from")
        raise UsageError(f"{text!r}: {url.scheme}:// comes with a later version; now {kinds} can be read from")
    link = maker(url)
    return EchoLink(link) if echo else link
