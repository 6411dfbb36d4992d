"""Link URLs: which medium, where, how it is set. Parsed and checked here; opened by the links of acquisition only.

    serial:///dev/ttyUSB0?baudrate=2400&parity=E          tcp://host:port          listen://0.0.0.0:9001
    rfc2217://host:port?baudrate=9600                     mqtt://host:1883
    mqtt-tunnel://host:1883/to/device?back=from/device

Never a user or password in a URL: URLs are printed in messages and kept beside what was tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from collector.settings.spelling import did_you_mean

_SERIAL_OPTIONS = ("baudrate", "bytesize", "parity", "stopbits")
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "serial": _SERIAL_OPTIONS,
    "tcp": (),
    "listen": (),
    "rfc2217": _SERIAL_OPTIONS,
    "mqtt": (),
    "mqtt-tunnel": ("back",),
}
SCHEMES = tuple(_OPTIONS)
_DEFAULT_PORT = {"mqtt": 1883, "mqtt-tunnel": 1883}

PARITIES = ("N", "E", "O", "M", "S")
STOP_BITS = ("1", "1.5", "2")
_FASTEST_BAUDRATE = 4_000_000


@dataclass(frozen=True, slots=True)
class SerialLine:
    """How the bits stand on a serial line, as in the URL: 2400 8E1 is on the plate of most DL/T 645 meters."""

    baudrate: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: str = "1"


@dataclass(frozen=True, slots=True)
class LinkUrl:
    """One medium. Two channels share it when `medium` is the same."""

    text: str
    """As it was written, for messages."""
    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    """serial: the device. mqtt-tunnel: the topic that goes to the device."""
    back: str = ""
    """mqtt-tunnel: the topic that comes back."""
    line: SerialLine = field(default_factory=SerialLine)

    @property
    def medium(self) -> str:
        """What cannot be opened twice: a port's name, or host and port."""
        match self.scheme:
            case "serial":
                return f"serial:{self.path}"
            case "mqtt-tunnel":
                return f"mqtt-tunnel:{self.host}:{self.port}{self.path}"
            case _:
                return f"{self.scheme}:{self.host}:{self.port}"


def parse_link(text: str) -> LinkUrl:
    """A link URL taken apart. :raises ValueError: saying what is wrong and what is allowed."""
    scheme, separator, _ = text.partition("://")
    if not separator or scheme not in _OPTIONS:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise ValueError(f"{text!r} is no link{did_you_mean(scheme, SCHEMES)}; a link begins with one of {known}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("a link holds no user and no password; see username and password_file")
    if parts.fragment or text.endswith("#"):
        raise ValueError(f"{text!r}: '#' has no meaning in a link")
    options = _options(scheme, parts)
    line = _serial_line(options) if "baudrate" in _OPTIONS[scheme] else SerialLine()
    if scheme == "serial":
        return LinkUrl(text, scheme, path=_device(parts, text), line=line)
    if not parts.hostname:
        raise ValueError(f"{text!r} names no host; write it as {scheme}://host:port")
    port = _DEFAULT_PORT.get(scheme) if port is None else port
    if not port:
        raise ValueError(f"{text!r} names no port; write it as {scheme}://host:port")
    path = unquote(parts.path)
    if scheme == "mqtt-tunnel":
        if not path.strip("/") or not options.get("back"):
            raise ValueError(
                f"{text!r} names no topics; write it as mqtt-tunnel://host:1883/to/device?back=from/device"
            )
        to, back = path.removeprefix("/"), options["back"]
        if wild := {"+", "#", "\0"} & {*to, *back}:
            raise ValueError(
                f"{text!r}: {min(wild)!r} stands for many topics; a tunnel has one to the device and one back"
            )
        return LinkUrl(text, scheme, parts.hostname, port, to, back, line)
    if path.strip("/"):
        raise ValueError(f"{text!r}: {scheme}:// takes a host and a port, no path")
    return LinkUrl(text, scheme, parts.hostname, port, line=line)


def _device(parts: SplitResult, text: str) -> str:
    device = unquote(parts.path)
    if parts.netloc or not device.strip("/"):
        raise ValueError(f"{text!r} names no device; write it as serial:///dev/ttyUSB0?baudrate=2400&parity=E")
    return device


def _options(scheme: str, parts: SplitResult) -> dict[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
    except ValueError as error:
        raise ValueError(f"'?{parts.query}' is not a list of options: {error}") from None
    allowed = _OPTIONS[scheme]
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            known = f"options are {', '.join(allowed)}" if allowed else "it takes no options"
            raise ValueError(f"{scheme}:// knows no option {name!r}{did_you_mean(name, allowed)}; {known}")
        if name in options:
            raise ValueError(f"the option {name!r} stands twice")
        options[name] = value
    return options


def _serial_line(options: Mapping[str, str]) -> SerialLine:
    default = SerialLine()
    baudrate = options.get("baudrate", str(default.baudrate))
    if not (baudrate.isascii() and baudrate.isdecimal() and 50 <= int(baudrate[:9]) <= _FASTEST_BAUDRATE):
        raise ValueError(f"baudrate={baudrate}: a number from 50 to {_FASTEST_BAUDRATE}, as in baudrate=2400")
    bytesize = options.get("bytesize", str(default.bytesize))
    if bytesize not in ("5", "6", "7", "8"):
        raise ValueError(f"bytesize={bytesize}: 5, 6, 7 or 8")
    parity = options.get("parity", default.parity)
    if parity not in PARITIES:
        raise ValueError(f"parity={parity}: N (none), E (even), O (odd), M (mark) or S (space)")
    stopbits = options.get("stopbits", default.stopbits)
    if stopbits not in STOP_BITS:
        raise ValueError(f"stopbits={stopbits}: {', '.join(STOP_BITS)}")
    return SerialLine(int(baudrate), int(bytesize), parity, stopbits)
