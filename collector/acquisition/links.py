"""URL → link: what a channel's `link` may say (DESIGN §8). One table; nothing else knows every kind of link."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import SplitResult, parse_qsl, urlsplit

from collector.acquisition.echo_link import EchoLink
from collector.acquisition.link import Link
from collector.acquisition.serial_link import PARITIES, STOP_BITS, SerialLink, SerialSettings
from collector.acquisition.tcp_link import TcpLink
from collector.errors import UsageError

LATER = ("listen", "rfc2217", "mqtt-tunnel")
"""Schemes that the design has and this version does not."""

TCP_EXAMPLE = "tcp://192.0.2.10:502"
SERIAL_EXAMPLE = "serial:///dev/ttyUSB0?baudrate=2400&parity=E"


def make_link(url: str, *, echo: bool = False) -> Link:
    """A link that is not yet open. `echo`: the line hands back what is sent on it (two-wire RS-485), and that is swallowed.

    :raises UsageError: naming the scheme, the parameter or the part that is wrong.
    """
    try:
        parts = urlsplit(url)
        maker = _MAKERS.get(parts.scheme)
        if maker is None:
            raise UsageError(_unknown_scheme(url, parts.scheme))
        link = maker(url, parts)
    except ValueError as error:  # a port that is no number, brackets that do not close
        raise UsageError(f"{url!r} is no link: {error}") from error
    return EchoLink(link) if echo else link


def _unknown_scheme(url: str, scheme: str) -> str:
    if scheme in LATER:
        return f"{url!r}: links of the kind {scheme}:// come with a later version; now there are {_kinds()}"
    if scheme in ("mqtt", "mqtts"):
        return f"{url!r} is a broker: meters push to it and are not asked; only {_kinds()} can be read from"
    return f"{url!r}: no link is called {scheme or 'that'}; write {TCP_EXAMPLE} or {SERIAL_EXAMPLE}"


def _kinds() -> str:
    return " and ".join(f"{scheme}://" for scheme in _MAKERS)


def _parameters(url: str, parts: SplitResult, known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            allowed = f"known are {', '.join(known)}" if known else f"{parts.scheme}:// has none"
            raise UsageError(f"{url!r}: no parameter is called {name!r}; {allowed}")
        if name in found:
            raise UsageError(f"{url!r}: the parameter {name!r} stands twice")
        found[name] = value
    return found


def _tcp(url: str, parts: SplitResult) -> Link:
    _parameters(url, parts, ())
    if not parts.hostname or parts.port is None or parts.path not in ("", "/") or parts.username is not None:
        raise UsageError(f"{url!r}: a TCP link is host and port, as in {TCP_EXAMPLE}")
    return TcpLink(parts.hostname, parts.port)


def _serial(url: str, parts: SplitResult) -> Link:
    given = _parameters(url, parts, ("baudrate", "bytesize", "parity", "stopbits"))
    if parts.netloc or not parts.path.strip("/"):
        raise UsageError(f"{url!r}: a serial link is three slashes and the port's path, as in {SERIAL_EXAMPLE}")
    settings = SerialSettings(
        baudrate=_number(url, given, "baudrate", 9600, range(50, 4_000_001)),
        bytesize=_number(url, given, "bytesize", 8, range(5, 9)),
        parity=_one_of(url, given, "parity", "N", PARITIES),
        stopbits=_one_of(url, given, "stopbits", "1", STOP_BITS),
    )
    return SerialLink(parts.path, settings, name=url)


def _number(url: str, given: dict[str, str], name: str, default: int, allowed: range) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) in allowed):
        raise UsageError(f"{url!r}: {name} is a number from {allowed[0]} to {allowed[-1]}, not {text!r}")
    return int(text)


def _one_of(url: str, given: dict[str, str], name: str, default: str, allowed: tuple[str, ...]) -> str:
    text = given.get(name, default)
    if text not in allowed:
        raise UsageError(f"{url!r}: {name} is one of {', '.join(allowed)}, not {text!r}")
    return text


_MAKERS: dict[str, Callable[[str, SplitResult], Link]] = {"tcp": _tcp, "serial": _serial}
