"""One suite, each ledger."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.ledger.port import Ledger
from tests.ledger.ledgers import KINDS, new_ledger


@pytest.fixture(params=KINDS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await new_ledger(str(request.param), tmp_path)
    yield opened
    await opened.close()
