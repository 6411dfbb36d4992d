"""The codes of the catalogue are those that there are."""

from collections.abc import Iterable

import pytest

from collector.acquisition.clocks import SENT, UNCHANGED, WRONG_PASSWORD, Remedy, Verdict
from collector.acquisition.outcome import OUTCOMES
from collector.cli import codes
from collector.jobs.clocks import MIDNIGHT, PASSWORD_RESTS
from collector.jobs.report import NOT_TRIED, NOT_YET
from collector.kpi.change import Change
from collector.kpi.rates import Metric
from collector.vee.rules import RULES
from protocols.witness import KINDS
from storage.records import Basis, Owner, Quality


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        (codes.REASONS, {*OUTCOMES, NOT_TRIED, NOT_YET}),
        (codes.RULES, {rule.__name__ for rule in RULES}),
        (codes.OWNERS, {*Owner}),
        (codes.QUALITIES, {*Quality}),
        (codes.BASES, {*Basis}),
        (codes.CHANGES, {*Change}),
        (codes.METRICS, {*Metric}),
        (codes.KINDS, KINDS),
        (codes.VERDICTS, {*Verdict}),
        (codes.REMEDIES, {*Remedy}),
        (codes.SETTINGS, {SENT, UNCHANGED, WRONG_PASSWORD, PASSWORD_RESTS, MIDNIGHT}),
    ],
    ids=[
        "reasons",
        "rules",
        "owners",
        "qualities",
        "bases",
        "changes",
        "metrics",
        "kinds",
        "verdicts",
        "remedies",
        "settings",
    ],
)
def test_every_code_has_its_word(listed: tuple[str, ...], there: Iterable[str]) -> None:
    assert sorted(listed) == sorted(map(str, there))
