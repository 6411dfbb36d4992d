"""The bytes of a delivery."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from collector.outlets.batch import (
    FIRST_PREVIOUS,
    check,
    compose,
    control_totals,
    data_bytes,
    manifest_bytes,
    number_rows,
)
from storage.errors import DeliveryRefused
from tests.rooms.billing_values import row

NOW = datetime(2026, 3, 15, tzinfo=UTC)


def test_a_row_has_the_keys_of_the_contract() -> None:
    line = data_bytes([row()])
    assert line == (
        b'{"seq":1,"type":"READING","account":"a1","point":"p1","meter":"m1","quantity":"1-0:1.8.0",'
        b'"time":"2026-03-14T16:00:00Z","basis":"freeze","value":"123.450","unit":"kWh","multiplier":"1",'
        b'"quality":"verified","source":"poll","revision":1}\n'
    )


def test_a_correction_has_three_more() -> None:
    line = json.loads(
        data_bytes([replace(row(seq=2), type="CORRECTION", replaces=1, old_value="123.000", reason="edited")])
    )
    assert list(line)[-3:] == ["replaces", "old_value", "reason"]
    assert (line["replaces"], line["old_value"], line["reason"]) == (1, "123.000", "edited")


def test_a_manifest_has_the_keys_of_the_contract() -> None:
    rows = number_rows([row(), row(value="1.5")], 1)
    first = compose(rows, after=None, created_at=NOW)
    assert json.loads(manifest_bytes(first)) == {
        "format": 1,
        "batch_seq": 1,
        "prev_sha256": "0" * 64,
        "from_seq": 1,
        "to_seq": 2,
        "rows": 2,
        "control_totals": {"1-0:1.8.0": "124.950"},
        "data_file": "batch-00000001.jsonl",
        "sha256": hashlib.sha256(data_bytes(rows)).hexdigest(),
        "created_at": "2026-03-15T00:00:00Z",
    }


def test_manifests_are_chained() -> None:
    first = compose(number_rows([row()], 1), after=None, created_at=NOW)
    second = compose(number_rows([row()], 2), after=first, created_at=NOW)
    assert first.prev_sha256 == FIRST_PREVIOUS
    assert second.prev_sha256 == hashlib.sha256(manifest_bytes(first)).hexdigest()
    assert (second.batch_seq, second.from_seq, second.data_file) == (2, 2, "batch-00000002.jsonl")


def test_totals_are_exact_and_apart_by_quantity() -> None:
    rows = [
        row(value="0.1"),
        row(value="0.2"),
        row(value="-3", quantity="1-0:2.8.0"),
        row(value="9223372036854.775807"),
    ]
    assert control_totals(rows) == {"1-0:1.8.0": "9223372036855.075807", "1-0:2.8.0": "-3"}


def test_a_promise_is_made_again_byte_for_byte() -> None:
    rows = number_rows([row(), row(value="2")], 1)
    delivery = compose(rows, after=None, created_at=NOW)
    assert check(delivery, rows) == (data_bytes(rows), manifest_bytes(delivery))


@pytest.mark.parametrize("changed", [{"value": "2.1"}, {"account": "a2"}, {"revision": 2}])
def test_rows_that_are_not_those_promised_are_refused(changed: dict[str, object]) -> None:
    rows = number_rows([row(), row(value="2")], 1)
    delivery = compose(rows, after=None, created_at=NOW)
    with pytest.raises(DeliveryRefused, match="delivery 1 in the ledger is not what was promised"):
        check(delivery, [rows[0], replace(rows[1], **changed)])  # type: ignore[arg-type]


def test_a_manifest_that_is_not_that_promised_is_refused() -> None:
    rows = number_rows([row()], 1)
    delivery = replace(compose(rows, after=None, created_at=NOW), prev_sha256="1" * 64)
    with pytest.raises(DeliveryRefused, match="another checksum"):
        check(delivery, rows)
