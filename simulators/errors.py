"""What a simulated fleet can fail at.

SimulatorError               the root
├── NoSuchData               a meter is asked for what it has not; its face answers with a refusal
├── ScenarioError            the scenario file contradicts itself; each line names file, line and key
└── BrokerError              the message broker cannot be reached, or did not take a message
"""

from __future__ import annotations


class SimulatorError(Exception):
    """The simulated fleet cannot do this."""


class NoSuchData(SimulatorError):
    """The meter has no such data."""


class ScenarioError(SimulatorError):
    """The scenario cannot be used."""


class BrokerError(SimulatorError):
    """The message broker does not take what the meters publish."""
