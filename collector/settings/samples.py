"""The files to start from: what `chaobiao init` writes and config/ shows.

In a checkout they lie in config/; the wheel carries copies (pyproject.toml, force-include), as config/ itself stays out of it.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

SAMPLES = {"collector.toml": "collector.toml", "meters.csv": "meters.example.csv"}
"""What is written → the sample it comes from. The configuration first."""


def sample(name: str) -> str:
    """The text of one sample."""
    installed = resources.files("collector").joinpath("templates", name)
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    return Path(__file__).parents[2].joinpath("config", name).read_text(encoding="utf-8")
