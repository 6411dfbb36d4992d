"""What a channel's `link` may say, and what it may not (its grammar is tested with the settings)."""

from __future__ import annotations

import pytest

from collector.acquisition.echo_link import EchoLink
from collector.acquisition.links import Beside, make_link
from collector.acquisition.rfc2217_link import Rfc2217Link
from collector.acquisition.serial_link import SerialLink
from collector.acquisition.spared_link import SparedLink
from collector.acquisition.tcp_link import TcpLink
from collector.acquisition.tunnel_link import TunnelLink
from collector.errors import UsageError


@pytest.mark.parametrize(
    ("url", "kind", "name"),
    [
        ("tcp://192.0.2.10:502", TcpLink, "tcp://192.0.2.10:502"),
        ("tcp://meter.example:8021/", TcpLink, "tcp://meter.example:8021"),
        ("tcp://[::1]:502", TcpLink, "tcp://[::1]:502"),
        (
            "mqtt-tunnel://192.0.2.10/to/4712?back=from/4712",
            TunnelLink,
            "mqtt-tunnel://192.0.2.10:1883/to/4712?back=from/4712",
        ),
        ("rfc2217://192.0.2.10:4001?baudrate=2400&parity=E", Rfc2217Link, "rfc2217://192.0.2.10:4001"),
        ("serial:///dev/ttyUSB0?baudrate=2400&parity=E", SerialLink, "serial:///dev/ttyUSB0?baudrate=2400&parity=E"),
        (
            "serial:///dev/serial/by-id/usb-FTDI-if00-port0",
            SerialLink,
            "serial:///dev/serial/by-id/usb-FTDI-if00-port0",
        ),
    ],
)
def test_links_that_there_are(url: str, kind: type, name: str) -> None:
    link = make_link(url)
    assert link.name == name
    assert isinstance(link._link if isinstance(link, SparedLink) else link, kind)
    assert isinstance(link, SparedLink) == (kind is not SerialLink), (
        "a port of our own is opened as often as it is wanted"
    )
    assert isinstance(make_link(url, Beside(echo=True)), EchoLink)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("tpc://192.0.2.10:502", "did you mean"),
        ("", "no link"),
        ("tcp://192.0.2.10", "names no port"),
        ("tcp://192.0.2.10:502?timeout=3", "no option 'timeout'"),
        ("serial://dev/ttyUSB0", "names no device"),
        ("serial:///dev/ttyUSB0?baud=2400", "no option 'baud'"),
        ("listen://0.0.0.0:9001", "known by its registration packet"),
        ("mqtt-tunnel://192.0.2.10/to/+?back=from", "stands for many topics"),
        ("mqtt-tunnel://192.0.2.10/to?back=from/%23", "stands for many topics"),
        ("mqtt://192.0.2.10:1883", "is a broker"),
    ],
)
def test_links_that_there_are_not(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_link(url)
