"""How long a line rests between a good answer and the next question: what the standard wants at its speed, and no more."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collector.acquisition.listening import Ports
from collector.acquisition.timing import LEAST_TURN_S, TURN_S
from collector.clock import DrivenClock
from collector.jobs.routes import routes_for
from collector.settings.link_url import parse_link
from collector.settings.protocol_names import ProtocolName
from collector.settings.schema import Channel


@pytest.mark.parametrize(
    ("link", "protocol", "silence_s"),
    [
        ("serial:///dev/ttyS0?baudrate=9600", "modbus-rtu", 3.5 * 10 / 9600),
        ("serial:///dev/ttyS0?baudrate=2400&parity=E", "modbus-rtu", 3.5 * 11 / 2400),
        ("serial:///dev/ttyS0?baudrate=115200", "modbus-rtu", LEAST_TURN_S),
        ("serial:///dev/ttyS0?baudrate=2400&parity=E", "dlt645", 11 / 2400),
        ("rfc2217://127.0.0.1:4001?baudrate=9600", "modbus-rtu", 3.5 * 10 / 9600),
        ("tcp://127.0.0.1:4001", "modbus-rtu", TURN_S),
    ],
)
def test_a_line_of_known_speed_turns_round_as_fast_as_it_may(
    link: str, protocol: ProtocolName, silence_s: float
) -> None:
    channel = Channel.model_construct(name="bus", link=parse_link(link), protocol=protocol)
    route = routes_for([channel], DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)), Ports())["bus"]
    assert route.timing.turn_s == pytest.approx(silence_s)
