"""The validation job: everything gets a verdict once."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from collector.clock import DrivenClock
from collector.jobs.validate import TRIES, validate
from collector.vee.judge import Ruleset
from storage.errors import VerdictRefused
from storage.ledger.port import Ledger
from storage.memory import MemoryLedger
from storage.records import Quality, Revision
from tests.ledger.ledgers import KINDS, new_ledger, standing
from tests.rooms.handing_over import NOW, freeze, home, read, running, settle

RULESET = Ruleset()
CLOCK = DrivenClock(NOW)


@pytest.fixture(params=KINDS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await new_ledger(str(request.param), tmp_path)
    yield opened
    await opened.close()


async def qualities(ledger: Ledger) -> list[Quality]:
    return [one.quality for one in await standing(ledger)]


async def test_everything_gets_a_verdict(ledger: Ledger) -> None:
    await settle(ledger)
    await read(ledger, freeze(0, 100), freeze(1, 110), freeze(2, 90), freeze(3, 99_000), freeze(4, 120))
    done = await validate(ledger, RULESET, CLOCK)
    assert (done.judged, done.verified, done.suspect) == (5, 3, 2)
    assert done.by_rule == {"out_of_range": 1, "register_decreased": 1}
    good, bad = Quality.VERIFIED, Quality.SUSPECT
    assert await qualities(ledger) == [good, good, bad, bad, good]
    assert [finding.rule for finding in await ledger.findings()] == ["register_decreased", "out_of_range"]


async def test_again_changes_nothing(ledger: Ledger) -> None:
    await settle(ledger)
    await read(ledger, freeze(0, 100), freeze(1, 90))
    await validate(ledger, RULESET, CLOCK)
    before = await standing(ledger)
    assert (await validate(ledger, RULESET, CLOCK)).judged == 0
    assert await standing(ledger) == before


@pytest.mark.parametrize("portion", [1, 2, 3, 100])
async def test_portions_do_not_matter(ledger: Ledger, portion: int) -> None:
    await settle(ledger, home("m1"), home("m2"))
    values = [100, 110, 90, 99_000, 120, 119]
    await read(ledger, *(freeze(day, kwh, meter=meter) for meter in ("m1", "m2") for day, kwh in enumerate(values)))
    await read(ledger, running(timedelta(hours=5), 104))
    assert (await validate(ledger, RULESET, CLOCK, portion=portion)).judged == 13
    good, bad = Quality.VERIFIED, Quality.SUSPECT
    assert await qualities(ledger) == [good, good, bad, bad, good, bad, good, good, good, bad, bad, good, bad]


async def test_a_conflict_takes_a_verdict_back(ledger: Ledger) -> None:
    await settle(ledger)
    await read(ledger, freeze(0, 100))
    await validate(ledger, RULESET, CLOCK)
    await read(ledger, freeze(0, 101))
    done = await validate(ledger, RULESET, CLOCK)
    assert done.by_rule == {"conflict": 1}
    (one,) = await standing(ledger)
    assert (one.quality, one.revision, one.value) == (Quality.SUSPECT, 2, 100_000_000)


class Overtaken(MemoryLedger):
    """Another process judges between our reading and our judging, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def judge(self, revisions: Sequence[Revision]) -> None:
        if self.times:
            self.times -= 1
            await super().judge([replace(revisions[0], n=2)])
        await super().judge(revisions)


async def test_a_verdict_of_another_process_is_looked_at_again() -> None:
    ledger = Overtaken(3)
    await settle(ledger)
    await read(ledger, freeze(0, 100), freeze(1, 110))
    assert (await validate(ledger, RULESET, CLOCK)).verified == 2


async def test_a_ledger_that_never_takes_a_verdict_is_said() -> None:
    ledger = Overtaken(TRIES)
    await settle(ledger)
    await read(ledger, freeze(0, 100))
    with pytest.raises(VerdictRefused, match="revision 2 does not follow"):
        await validate(ledger, RULESET, CLOCK)
