"""No supply: told from a dead line, a dead meter and a loose wire. Boxes of four meters on one line, unless said otherwise."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from collector.kpi.supply import without_supply, worth_a_look
from storage.care import MeterEvent
from storage.records import Basis, Missing, Owner, Slot
from storage.registry import Installation, Meter, Point, Registered

MIDNIGHT = datetime(2026, 3, 14, 16, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def row(meter: str, box: str, *, line: str = "village-1", phase: str = "", area: str = "TA-1") -> Registered:
    point = Point(f"P-{meter}", area=area, box=box, phase=phase)
    return Registered(Meter(meter, "x", line, meter), point, Installation(meter, f"P-{meter}", MIDNIGHT - HOUR))


BOX_A = [row(f"a{n}", "A", phase="LNC"[n % 3]) for n in range(4)]
BOX_B = [row(f"b{n}", "B", phase="LNC"[n % 3]) for n in range(4)]
VILLAGE = BOX_A + BOX_B


def slot(one: Registered, at: datetime = MIDNIGHT) -> Slot:
    return Slot("daily", one.meter.meter, "1-0:1.8.0", Basis.FREEZE, at)


def silent(rows: Iterable[Registered], reason: str = "no_answer", at: datetime = MIDNIGHT) -> list[Missing]:
    owner = Owner.LINE
    return [
        Missing(slot(one, at), date(2026, 3, 14), reason, owner, "no answer within 1 s", 3, since=at + 5 * MINUTE)
        for one in rows
    ]


def read(rows: Iterable[Registered]) -> list[Slot]:
    return [slot(one) for one in rows]


def cut(meter: str, start: datetime, end: datetime | None) -> MeterEvent:
    return MeterEvent(meter, "power_down", "", start, end, MIDNIGHT + 9 * HOUR)


def names(found: Iterable[Missing]) -> list[str]:
    return sorted(one.slot.meter for one in found)


def test_a_box_silent_while_others_on_its_line_answer_has_no_supply() -> None:
    found = without_supply(silent(BOX_A), read(BOX_B), VILLAGE, ())
    assert names(found) == ["a0", "a1", "a2", "a3"]
    one = found[0]
    assert (one.reason, one.owner, one.attempts, one.since) == ("no_supply", Owner.SUPPLY, 0, MIDNIGHT + 5 * MINUTE)
    assert one.detail == (
        "box TA-1 A: all 4 meters silent at once, others on the line answered; before: no_answer: no answer within 1 s"
    )


def test_a_line_on_which_nobody_answers_is_the_lines_fault() -> None:
    """Both boxes and the whole area are silent; so they would be behind a dead concentrator."""
    assert without_supply(silent(VILLAGE), (), VILLAGE, ()) == ()


def test_another_line_that_answers_says_nothing_of_this_one() -> None:
    other = [row(f"c{n}", "C", line="village-2", area="TA-2") for n in range(4)]
    assert without_supply(silent(VILLAGE), read(other), VILLAGE + other, ()) == ()


def test_a_silent_meter_in_a_box_that_answers_is_the_meters_or_its_wires() -> None:
    assert without_supply(silent(BOX_A[:3]), read([BOX_A[3], *BOX_B]), VILLAGE, ()) == ()


def test_a_box_of_one_proves_nothing() -> None:
    alone = row("d1", "D", area="")
    assert without_supply(silent([alone]), read(BOX_B), [*BOX_B, alone], ()) == ()


def test_a_refusal_is_an_answer() -> None:
    """One of the box says no: it has power."""
    missing = [*silent(BOX_A[:3]), *silent(BOX_A[3:], "refused")]
    assert without_supply(missing, read(BOX_B), VILLAGE, ()) == ()
    assert names(without_supply([*silent(BOX_A), *silent(BOX_B, "refused")], (), VILLAGE, ())) == names(silent(BOX_A))


def test_what_the_channel_could_not_carry_is_never_supply() -> None:
    assert without_supply(silent(BOX_A, "connection_refused"), read(BOX_B), VILLAGE, ()) == ()
    by_its_word = [cut("a0", MIDNIGHT - HOUR, MIDNIGHT + HOUR)]
    assert without_supply(silent(BOX_A, "connection_lost"), (), VILLAGE, by_its_word) == ()


def test_a_phase_of_an_area() -> None:
    lost = [one for one in VILLAGE if one.point.phase == "L"]
    rest = [one for one in VILLAGE if one.point.phase != "L"]
    found = without_supply(silent(lost), read(rest), VILLAGE, ())
    assert names(found) == names(silent(lost))
    assert found[0].detail.startswith("phase TA-1 L: all 4 meters silent")


def test_an_area_on_a_line_that_it_shares() -> None:
    beside = [row(f"e{n}", "", area="TA-2") for n in range(2)]
    found = without_supply(silent(beside), read(VILLAGE), VILLAGE + beside, ())
    assert names(found) == ["e0", "e1"]
    assert found[0].detail.startswith("area TA-2")


def test_silence_at_different_slots_is_not_at_once() -> None:
    later = silent(BOX_A[2:], at=MIDNIGHT + 24 * HOUR)
    others = [*read(BOX_B), *read(BOX_A[2:]), *(slot(one, MIDNIGHT + 24 * HOUR) for one in [*BOX_B, *BOX_A[:2]])]
    assert without_supply([*silent(BOX_A[:2]), *later], others, VILLAGE, ()) == ()


def test_a_meters_own_word() -> None:
    found = without_supply(silent(BOX_A[:1]), read(VILLAGE[1:]), VILLAGE, [cut("a0", MIDNIGHT - HOUR, MIDNIGHT + HOUR)])
    assert names(found) == ["a0"]
    assert "by its own record" in found[0].detail
    assert "before: no_answer" in found[0].detail


def test_a_cut_that_was_over_explains_nothing() -> None:
    past = [cut("a0", MIDNIGHT - 2 * HOUR, MIDNIGHT - HOUR), cut("a1", MIDNIGHT - HOUR, MIDNIGHT + HOUR)]
    assert without_supply(silent(BOX_A[:1]), read(VILLAGE[1:]), VILLAGE, past) == ()


def test_a_cut_at_the_first_try_explains_it_too() -> None:
    found = without_supply(silent(BOX_A[:1]), (), VILLAGE, [cut("a0", MIDNIGHT + 2 * MINUTE, None)])
    assert names(found) == ["a0"]


def test_no_freeze_where_there_was_no_power_at_midnight() -> None:
    """The meter answers again, and kept none: its word explains it, its neighbours' silence would not."""
    night = [cut("a0", MIDNIGHT - HOUR, MIDNIGHT + MINUTE)]
    assert names(without_supply(silent(BOX_A[:1], "no_freeze"), (), VILLAGE, night)) == ["a0"]
    assert without_supply(silent(BOX_A, "no_freeze"), read(BOX_B), VILLAGE, ()) == ()


def test_what_is_explained_already_stays_and_counts_as_silent() -> None:
    explained = [replace(one, reason="no_supply", owner=Owner.SUPPLY) for one in silent(BOX_A[:3])]
    assert names(without_supply([*explained, *silent(BOX_A[3:])], read(BOX_B), VILLAGE, ())) == ["a3"]


def test_what_was_asked_on_demand_is_left_alone() -> None:
    asked = [replace(one, slot=replace(one.slot, plan="")) for one in silent(BOX_A)]
    assert without_supply(asked, read(BOX_B), VILLAGE, ()) == ()


def test_where_it_matters_who_was_heard() -> None:
    """Half a box or more, and more than one meter."""
    assert worth_a_look(silent(BOX_A), VILLAGE) == {MIDNIGHT}
    assert worth_a_look(silent(BOX_A[:1]), VILLAGE) == frozenset()
    assert worth_a_look(silent(BOX_A, "refused"), VILLAGE) == frozenset()
    unboxed = [row(f"f{n}", "", area="TA-9") for n in range(9)]
    assert worth_a_look(silent(unboxed[:4]), unboxed) == frozenset()
    assert worth_a_look(silent(unboxed[:5]), unboxed) == {MIDNIGHT}
