"""The district read by the collector's own lines, codecs and translator: every value of every profile is the one shown.

Nothing but sockets lies between the two sides, and they share the framing of DL/T 645 alone.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from collector.acquisition.line import Line
from collector.acquisition.links import make_link
from collector.acquisition.timing import Timing
from collector.acquisition.visit import Visit, read_meter
from collector.clock import DrivenClock
from collector.normalise.translate import Translation, translate
from protocols.dialect import Wanted
from protocols.dialects import DIALECTS
from protocols.payload import address_in, read_message
from simulators.fleet import Fleet, Member, load_scenario
from simulators.json_face import JsonMeter
from storage.records import Source
from storage.registry import Meter
from storage.values import to_text
from tests.fleet.scenes import PROFILES

PATIENT = Timing(timeout_s=2.0, retries=0, worst_reply_s=0.1)
HASTY = Timing(timeout_s=0.15, retries=0, worst_reply_s=0.15)


class District:
    """The demo's fleet, and a collector's side to read it with."""

    def __init__(self) -> None:
        scenario = load_scenario("demo", PROFILES)
        self.clock = DrivenClock(scenario.start)
        self.fleet = Fleet(scenario, now=self.clock.now, profiles=PROFILES, broker="mqtt://127.0.0.1:1")

    def member(self, name: str) -> Member:
        return next(one for one in self.fleet.members if one.name == name)

    async def read(self, name: str, wanted: list[Wanted], timing: Timing = PATIENT) -> Visit:
        member = self.member(name)
        place = next(one for one in self.fleet.listening if one.meter == name)
        line = Line(make_link(place.url), self.clock)
        serial = member.serial if member.profile.identity else ""
        meter = Meter(name, member.profile.id, place.line, place.address, serial=serial)
        try:
            return await read_meter(line, DIALECTS[place.protocol], member.profile, meter, wanted, timing)
        finally:
            await line.close()

    def translate(self, name: str, visit: Visit) -> Translation:
        member = self.member(name)
        meter = Meter(name, member.profile.id, "", "")
        zone = member.meter.zone
        now = self.clock.now()
        return translate(
            visit.items, profile=member.profile, meter=meter, zone=zone, source=Source.POLL, received_at=now
        )


@pytest.fixture
async def district() -> AsyncIterator[District]:
    here = District()
    async with here.fleet:
        yield here


POLLED = ["street-shop-01", "street-flat-01", "upper-01", "lower-pump"]


@pytest.mark.parametrize("name", POLLED)
async def test_every_value_of_the_profile_is_the_one_shown(district: District, name: str) -> None:
    district.clock.advance(district.fleet.start + timedelta(hours=17, minutes=31, seconds=7))
    profile = district.member(name).profile
    since = district.member(name).meter.clock(district.clock.now()) - timedelta(hours=5)
    backs = {"freeze": 3, "settlement": 1}
    wanted = [
        Wanted(register.quantity, register.basis, backs.get(register.basis, 1), since=since)
        for register in profile.registers
    ]
    visit = await district.read(name, wanted)
    assert visit.failed == ()
    translated = district.translate(name, visit)
    assert translated.rejects == ()
    assert len(translated.readings) == len(wanted)
    for reading in translated.readings:
        shown = district.fleet.truth.value(name, reading.quantity, reading.basis.value, reading.time)
        assert shown == to_text(reading.value, reading.resolution), reading
    assert {reading.quantity for reading in translated.readings} == {
        register.quantity for register in profile.registers
    }


@pytest.mark.parametrize(
    ("name", "after", "outcome"),
    [
        ("upper-03", timedelta(), "no_answer"),
        ("lower-02", timedelta(hours=2), "bad_checksum"),
        ("lower-02", timedelta(hours=4), "ok"),
    ],
)
async def test_planted_faults_are_seen_as_what_they_are(
    district: District, name: str, after: timedelta, outcome: str
) -> None:
    district.clock.advance(district.fleet.start + after)
    visit = await district.read(name, [Wanted("1-0:1.8.0")], HASTY)
    assert [attempt.outcome for attempt in visit.attempts] == [outcome]
    spoilt = district.fleet.truth.spoilt
    assert [(one.meter, one.time) for one in spoilt] == ([] if outcome == "ok" else [(name, district.clock.now())])


async def test_wrong_values_pass_every_check_of_the_wire(district: District) -> None:
    """They are for validation to find: the bytes are good."""
    values = []
    for minutes in (170, 180, 190):
        district.clock.advance(district.fleet.start + timedelta(minutes=minutes))
        visit = await district.read("street-flat-02", [Wanted("1-0:1.8.0")])
        (reading,) = district.translate("street-flat-02", visit).readings
        values.append(reading.value)
    assert values[1] - values[0] > 59_999_000_000
    assert values[2] < values[1]


def test_what_is_pushed_reads_as_it_was_published() -> None:
    member = District().member("ridge-01")
    start = datetime(2026, 3, 31, 12, tzinfo=UTC)
    meter = JsonMeter("ridge-01", member.meter, member.profile, every=timedelta(minutes=15), since=start)
    messages = list(meter.owed(start + timedelta(hours=4)))
    assert {json.loads(message.payload).get("basis") for message in messages} == {None, "freeze"}
    for message in messages:
        assert address_in(member.profile, message.topic) == "ridge-01"
        said = read_message(member.profile, message.payload)
        assert (said.time, said.seq) == (message.time, message.seq)
        translated = translate(
            said.items,
            profile=member.profile,
            meter=Meter("ridge-01", member.profile.id, "", ""),
            zone=member.meter.zone,
            source=Source.PUSH,
            received_at=message.time,
        )
        assert translated.rejects == ()
        seen = {
            (one.quantity, one.basis.value, one.time): to_text(one.value, one.resolution) for one in translated.readings
        }
        assert seen == {(one.quantity, one.basis, one.time): one.text for one in message.displays}
        assert seen
