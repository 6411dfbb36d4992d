"""What a DL/T 645 meter writes down: status words of a real pair, counters and records by the public tables of others."""

from datetime import datetime

import pytest

from protocols.dialect import Exchange
from protocols.dlt645.events import DLT645_WITNESS
from protocols.dlt645.frame import Frame, Framer, encode
from protocols.dlt645.session import telegram
from protocols.errors import RequestError
from protocols.telegram import Request
from protocols.witness import Happened, Sort

METER = "151230011061"


def answer(data: bytes, identifier: str) -> Exchange:
    framer = Framer()
    framer.receive(data)
    frame = framer.next()
    assert isinstance(frame, Frame)
    return Exchange(Request(METER, 0x11, identifier), (telegram(frame),))


def exchange(identifier: str, payload: str) -> Exchange:
    return answer(encode(METER, 0x91, bytes.fromhex(identifier)[::-1] + bytes.fromhex(payload)), identifier)


# A node handler inside 376.1 transparent forwarding: meter 151230011061 before and after its relay was tripped.
OPEN = bytes.fromhex("68 61 10 01 30 12 15 68 91 06 36 38 33 37 83 33 BE 16")
CLOSED = bytes.fromhex("68 61 10 01 30 12 15 68 91 06 36 38 33 37 33 33 6E 16")


@pytest.mark.parametrize(("third", "says"), [(OPEN, ("relay open", "relay commanded open")), (CLOSED, ())])
def test_status_word_3_of_a_real_meter(third: bytes, says: tuple[str, ...]) -> None:
    single = [exchange(f"040005{word:02X}", "00 00") for word in (1, 2, 4, 5, 6, 7)]
    words = DLT645_WITNESS.status((*single[:2], answer(third, "04000503"), *single[2:]))
    assert words == (0, 0, 0x0050 if says else 0, 0, 0, 0, 0)
    assert DLT645_WITNESS.says(words) == says


def test_words_of_a_phase_name_it() -> None:
    (block,), _ = DLT645_WITNESS.ask_status(METER)
    assert block.target == "040005FF"
    words = DLT645_WITNESS.status((exchange("040005FF", "04 00 00 00 00 00 01 00 00 00 80 00 20 00"),))
    assert words is not None
    says = ("clock battery low", "voltage lost (A)", "phase failed (C)", "power down")
    assert DLT645_WITNESS.says(words) == says


@pytest.mark.parametrize("payload", ["", "00 00", "00 " * 13, "00 " * 15])
def test_status_of_another_length_is_none(payload: str) -> None:
    assert DLT645_WITNESS.status((exchange("040005FF", payload),)) is None


def test_counters() -> None:
    """Three BCD bytes; by phases a count and minutes each (PyPI dlt645, event_record_types: 总次数，总累计时间)."""
    assert DLT645_WITNESS.counts(exchange("03110000", "12 00 00"), 1) == {Sort("power_down"): 12}
    phases = exchange("03040000", "01 00 00 99 99 99 02 00 00 00 00 00 00 01 00 00 00 00")
    by_phase = {Sort("phase_loss", phase): count for phase, count in zip("ABC", (1, 2, 100), strict=True)}
    assert DLT645_WITNESS.counts(phases, 3) == by_phase
    assert DLT645_WITNESS.counts(phases, 1) == {Sort("phase_loss", "A"): 1}
    assert DLT645_WITNESS.counts(exchange("1D000001", "05 00 00"), 1) == {Sort("relay_opened"): 5}


@pytest.mark.parametrize("payload", ["", "12 00", "1A 00 00", "12 00 00 00"])
def test_counters_that_make_no_sense(payload: str) -> None:
    assert DLT645_WITNESS.counts(exchange("03110000", payload), 1) == {}


def test_records_are_asked_by_number_and_phase() -> None:
    asked = [
        DLT645_WITNESS.ask_record(METER, sort, back).target
        for sort, back in (
            (Sort("power_down"), 1),
            (Sort("cover_opened"), 10),
            (Sort("phase_loss", "C"), 2),
            (Sort("relay_closed"), 3),
        )
    ]
    assert asked == ["03110001", "03300D0A", "03040302", "1E000103"]
    with pytest.raises(RequestError, match="no DL/T 645 address"):
        DLT645_WITNESS.ask_counts("meter 7")


def test_a_record_begins_with_its_times() -> None:
    start, end = datetime(2026, 3, 14, 9, 26, 53), datetime(2026, 3, 14, 10, 0, 7)  # noqa: DTZ001 - a meter's clock knows no zone
    cut = exchange("03110001", "53 26 09 14 03 26 07 00 10 14 03 26")
    assert DLT645_WITNESS.record(Sort("power_down"), cut) == Happened(Sort("power_down"), start, end)
    still = exchange("03110001", "53 26 09 14 03 26 00 00 00 00 00 00")
    assert DLT645_WITNESS.record(Sort("power_down"), still) == Happened(Sort("power_down"), start)
    opened = exchange("1D000101", "53 26 09 14 03 26")
    assert DLT645_WITNESS.record(Sort("relay_opened"), opened) == Happened(Sort("relay_opened"), start)
    assert DLT645_WITNESS.record(Sort("power_down"), exchange("03110001", "00 " * 12)) is None
    assert DLT645_WITNESS.record(Sort("power_down"), exchange("03110001", "53 26")) is None
