"""Every reason that can happen has an owner in the one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import collector.acquisition
from collector.acquisition.outcome import OUTCOMES, rule
from protocols import errors
from storage.records import Owner


def reasons_of_protocols() -> set[str]:
    return {
        kind.reason
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ProtocolError)
    }


def reasons_of_links() -> set[str]:
    """What the links write out as reasons."""
    found: set[str] = set()
    for path in Path(collector.acquisition.__file__).parent.glob("*.py"):
        text = path.read_text("utf-8")
        found |= set(re.findall(r'_error\("(\w+)"', text))
        found |= set(re.findall(r'errno\.E\w+: "(\w+)"', text))
        found |= set(re.findall(r'"(connection_\w+|un\w+able|port_\w+)"', text))
    return found


def test_every_reason_of_the_protocols_has_an_owner() -> None:
    assert len(reasons_of_protocols()) > 8
    assert reasons_of_protocols() <= set(OUTCOMES)


def test_every_reason_of_the_links_has_an_owner() -> None:
    assert {"connection_refused", "connection_lost", "no_such_port", "port_in_use"} <= reasons_of_links()
    assert reasons_of_links() <= set(OUTCOMES)


@pytest.mark.parametrize(
    ("reason", "owner"),
    [
        ("no_answer", Owner.LINE),
        ("exception_2", Owner.METER),
        ("exception_99", Owner.METER),
        ("gateway_no_answer", Owner.LINE),
        ("connection_refused", Owner.TERMINAL),
        ("connection_timeout", Owner.UPLINK),
        ("wrong_identity", Owner.REGISTRY),
        ("no_supply", Owner.SUPPLY),
        ("something_new", Owner.OURS),
    ],
)
def test_whose_fault(reason: str, owner: Owner) -> None:
    assert rule(reason).owner == owner


def test_a_refusal_is_not_asked_again() -> None:
    assert not rule("exception_2").again
    assert not rule("refused").again
    assert rule("no_answer").again
