"""What a channel's `link` may say, and that every mistake in it is named."""

from __future__ import annotations

import pytest

from collector.acquisition.echo_link import EchoLink
from collector.acquisition.links import make_link
from collector.acquisition.serial_link import SerialLink
from collector.acquisition.tcp_link import TcpLink
from collector.errors import UsageError


@pytest.mark.parametrize(
    ("url", "kind", "name"),
    [
        ("tcp://192.0.2.10:502", TcpLink, "tcp://192.0.2.10:502"),
        ("tcp://meter.example:8021/", TcpLink, "tcp://meter.example:8021"),
        ("tcp://[::1]:502", TcpLink, "tcp://[::1]:502"),
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
    assert isinstance(link, kind)
    assert link.name == name
    assert isinstance(make_link(url, echo=True), EchoLink)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("tpc://192.0.2.10:502", "no link is called tpc"),
        ("192.0.2.10:502", "no link is called"),
        ("", "no link is called that"),
        ("listen://0.0.0.0:9001", "listen:// come with a later version"),
        ("rfc2217://192.0.2.10:4001", "rfc2217:// come with a later version"),
        ("mqtt-tunnel://192.0.2.10:1883/to?back=from", "mqtt-tunnel:// come with a later version"),
        ("mqtt://192.0.2.10:1883", "is a broker"),
        ("tcp://192.0.2.10", "host and port"),
        ("tcp://:502", "host and port"),
        ("tcp://192.0.2.10:502/meter", "host and port"),
        ("tcp://user@192.0.2.10:502", "host and port"),
        ("tcp://192.0.2.10:port", "port"),
        ("tcp://192.0.2.10:70000", "Port out of range"),
        ("tcp://192.0.2.10:502?timeout=3", "no parameter is called 'timeout'; tcp:// has none"),
        ("serial://dev/ttyUSB0", "three slashes"),
        ("serial:///", "three slashes"),
        ("serial:///dev/ttyUSB0?baud=2400", "no parameter is called 'baud'; known are baudrate, bytesize"),
        ("serial:///dev/ttyUSB0?baudrate=fast", "baudrate is a number from 50"),
        ("serial:///dev/ttyUSB0?baudrate=", "baudrate is a number from 50"),
        ("serial:///dev/ttyUSB0?baudrate=٢٤٠٠", "baudrate is a number from 50"),
        ("serial:///dev/ttyUSB0?bytesize=9", "bytesize is a number from 5 to 8"),
        ("serial:///dev/ttyUSB0?parity=even", "parity is one of N, E, O, M, S"),
        ("serial:///dev/ttyUSB0?stopbits=3", "stopbits is one of 1, 1.5, 2"),
        ("serial:///dev/ttyUSB0?parity=E&parity=O", "'parity' stands twice"),
    ],
)
def test_links_that_there_are_not(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")) as caught:
        make_link(url)
    assert repr(url) in str(caught.value)
