"""Configurations for tests, as text."""

from pathlib import Path

from collector.settings.loading import settings_in
from collector.settings.schema import Settings

SMALL = """\
format = 1
[storage]
url = "sqlite:///chaobiao.db"
[registry]
file = "meters.csv"
[[channel]]
name = "village-1"
link = "tcp://127.0.0.1:8021"
protocol = "dlt645"
[[channel]]
name = "substation"
link = "tcp://127.0.0.1:1502"
protocol = "modbus-tcp"
[[channel]]
name = "broker"
link = "mqtt://127.0.0.1:1883"
protocol = "mqtt-json"
topics = ["meters/+/reading"]
[[plan]]
name = "daily"
read = ["1-0:1.8.0"]
basis = "freeze"
at = "00:05"
[billing]
directory = "deliveries"
[[billing.group]]
name = "homes"
"""


def settings(text: str = SMALL, folder: Path = Path("place")) -> Settings:
    """The settings in this text, named collector.toml."""
    return settings_in(text, "collector.toml", folder)
