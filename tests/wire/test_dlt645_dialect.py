"""What is asked of a DL/T 645 meter for what is wanted, and what its answers become: freezes above all."""

import tomllib
from datetime import datetime
from decimal import Decimal

import pytest

from protocols.dialect import Dialect, Exchange, Wanted
from protocols.dialects import DIALECTS
from protocols.dlt645.dialect import DLT645
from protocols.dlt645.frame import encode
from protocols.errors import ProfileError, RequestError
from protocols.profile import Profile, builtin_profiles, load_profile
from protocols.telegram import Garbage, Item, Request, Telegram

METER = "000000000161"
THREE = builtin_profiles()["dlt645_2007_3p"]
DAY = datetime(2026, 3, 15)  # noqa: DTZ001 - the meter's own stamp, without a zone
STAMP, NEXT_STAMP = "00 00 15 03 26", "00 00 16 03 26"


def exchange(request: Request, *payloads: str, more: bool = False) -> Exchange:
    """The answer to a request, in as many frames as there are payloads."""
    telegrams = [
        Telegram(request.address, 0x91, bytes.fromhex(payload), b"", more=more or n < len(payloads) - 1)
        for n, payload in enumerate(payloads)
    ]
    return Exchange(request, tuple(telegrams))


def answered(wanted: list[Wanted], *payloads: str, profile: Profile = THREE) -> tuple[Item, ...]:
    requests = DLT645.requests(profile, METER, wanted)
    return DLT645.items(profile, [exchange(r, p) for r, p in zip(requests, payloads, strict=True)])


def targets(wanted: list[Wanted], profile: Profile = THREE) -> list[str]:
    return [request.target for request in DLT645.requests(profile, "161", wanted)]


def test_it_stands_in_the_table_of_protocols() -> None:
    dialect: Dialect = DIALECTS["dlt645"]
    assert (dialect.name, dialect.family, dialect.streaming, dialect.gap_ms) == ("dlt645", "dlt645", True, 500)


# --- what is asked --------------------------------------------------------------------------------------------------------


def test_one_identifier_a_quantity() -> None:
    wanted = [Wanted("1-0:1.8.0"), Wanted("1-0:32.7.0"), Wanted("1-0:1.8.0")]
    assert targets(wanted) == ["00010000", "02010100"]


def test_a_freeze_stands_between_two_readings_of_its_stamp() -> None:
    wanted = [Wanted("1-0:1.8.0", "freeze"), Wanted("1-0:1.8.2", "freeze"), Wanted("1-0:2.8.0", "freeze")]
    assert targets(wanted) == ["05060001", "05060101", "05060201", "05060001"]


def test_each_day_back_has_its_own_stamp() -> None:
    wanted = [Wanted("1-0:1.8.0", "freeze", back) for back in (1, 62)]
    assert targets(wanted) == ["05060001", "05060101", "05060001", "0506003E", "0506013E", "0506003E"]


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("1-0:9.8.0"),
        Wanted("1-0:1.8.0", "curve"),
        Wanted("1-0:1.8.0", "freeze", 63),
        Wanted("1-0:1.8.0", "freeze", 0),
        Wanted("1-0:1.8.0", "instant", 2),
    ],
)
def test_what_the_profile_has_not_is_left_out(wanted: Wanted) -> None:
    assert targets([wanted]) == []


def test_ids_say_what_is_lost_without_the_answer() -> None:
    stamp, block, again = DLT645.requests(THREE, METER, [Wanted("1-0:1.8.2", "freeze")])
    assert block.ids == ("050601nn", "1-0:1.8.2")
    assert stamp == again
    assert stamp.ids == block.ids


def test_an_address_that_no_frame_holds() -> None:
    with pytest.raises(RequestError, match="no DL/T 645 address"):
        DLT645.requests(THREE, "meter 1", [Wanted("1-0:1.8.0")])
    with pytest.raises(RequestError, match="no DL/T 645 address"):
        DLT645.usual("1234567890123")


def test_probe_asks_the_usual() -> None:
    requests = DLT645.usual("AAAAAAAAAAAA")
    asked = {"00000000", "00010000", "02010100", "02020100", "02030000", "04000101", "04000102"}
    assert asked <= {request.target for request in requests}
    assert {request.function for request in requests} == {0x11}


# --- values as they run ---------------------------------------------------------------------------------------------------


def test_a_value_as_it_runs() -> None:
    (item,) = answered([Wanted("1-0:1.8.0")], "26 00 00 00")
    raw = bytes.fromhex("26000000")
    assert item == Item("00010000", raw, Decimal("0.26"), "kWh", "1-0:1.8.0", basis="instant")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [("26 00 00 00 00", "wrong_length"), ("26 00", "wrong_length"), ("FF FF FF FF", "bad_digits")],
)
def test_what_makes_no_sense_is_an_item_with_a_reason(payload: str, reason: str) -> None:
    (item,) = answered([Wanted("1-0:1.8.0")], payload)
    assert (item.value, item.reason, item.quantity) == (None, reason, "1-0:1.8.0")


def test_without_a_profile_the_table_speaks() -> None:
    requests = DLT645.usual(METER)[:2]
    found = DLT645.items(None, [exchange(request, "56 34 12 80") for request in requests])
    assert [(i.id, i.value, i.quantity, i.reason) for i in found] == [
        ("00000000", Decimal("-1234.56"), None, ""),
        ("00010000", Decimal("801234.56"), "1-0:1.8.0", ""),
    ]


def test_who_is_there() -> None:
    (item,) = DLT645.items(None, [exchange(Request("A" * 12, 0x13, ""), "12 90 78 56 34 12")])
    assert (item.id, item.value) == ("address", "123456789012")


# --- freezes --------------------------------------------------------------------------------------------------------------

BLOCK = "60 00 00 00 10 00 00 00 20 00 00 00 30 00 00 00 00 00 00 00"


def test_a_freeze_has_the_stamp_that_stood_before_and_after() -> None:
    total, second = answered([Wanted("1-0:1.8.0", "freeze"), Wanted("1-0:1.8.2", "freeze")], STAMP, BLOCK, STAMP)
    assert (total.quantity, total.value, total.time, total.basis) == ("1-0:1.8.0", Decimal("0.60"), DAY, "freeze")
    assert (second.quantity, second.value, second.time) == ("1-0:1.8.2", Decimal("0.20"), DAY)


def test_only_what_was_wanted_of_a_block_is_given() -> None:
    (item,) = answered([Wanted("1-0:1.8.3", "freeze")], STAMP, BLOCK, STAMP)
    assert (item.quantity, item.value) == ("1-0:1.8.3", Decimal("0.30"))


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (STAMP, NEXT_STAMP, "freeze_moved"),  # midnight passed on the meter's clock: whose value is it?
        ("00 00 00 00 00", "00 00 00 00 00", "impossible_time"),
        ("00 00 31 02 26", "00 00 31 02 26", "impossible_time"),
        ("FF FF FF FF FF", "FF FF FF FF FF", "impossible_time"),
        ("00 00 15 03", "00 00 15 03", "impossible_time"),
        (STAMP, "FF FF FF FF FF", "freeze_moved"),
    ],
)
def test_a_value_without_a_stamp_that_stood_still_is_none(before: str, after: str, reason: str) -> None:
    (item,) = answered([Wanted("1-0:1.8.0", "freeze")], before, BLOCK, after)
    assert (item.value, item.time, item.reason) == (None, None, reason)


def test_one_stamp_is_no_proof() -> None:
    requests = DLT645.requests(THREE, METER, [Wanted("1-0:1.8.0", "freeze")])
    exchanges = [exchange(request, payload) for request, payload in zip(requests, (STAMP, BLOCK, STAMP), strict=True)]
    for known in (exchanges[:2], exchanges[1:], exchanges[1:2]):
        (item,) = DLT645.items(THREE, known)
        assert (item.value, item.reason) == (None, "no_time_stamp")


def test_days_are_not_mixed_up() -> None:
    wanted = [Wanted("1-0:1.8.0", "freeze", back) for back in (1, 2)]
    found = answered(wanted, NEXT_STAMP, BLOCK, NEXT_STAMP, STAMP, BLOCK.replace("60", "40"), STAMP)
    assert [(i.value, i.time and i.time.day) for i in found] == [(Decimal("0.60"), 16), (Decimal("0.40"), 15)]


def test_a_meter_with_fewer_tariffs_than_the_profile() -> None:
    wanted = [Wanted("1-0:1.8.0", "freeze"), Wanted("1-0:1.8.2", "freeze")]
    total, second = answered(wanted, STAMP, "60 00 00 00 10 00 00 00", STAMP)
    assert (total.value, second.value, second.reason) == (Decimal("0.60"), None, "wrong_length")


def test_a_block_that_is_no_row_of_values_gives_none() -> None:
    (item,) = answered([Wanted("1-0:1.8.0", "freeze")], STAMP, "60 00 00 00 10", STAMP)
    assert (item.value, item.reason) == (None, "wrong_length")


# --- follow-ups -----------------------------------------------------------------------------------------------------------


def test_the_rest_is_asked_for_until_it_is_whole() -> None:
    request = Request(METER, 0x11, "0001FF00", ids=("0001FF00",))
    telegrams = list(exchange(request, "26 00 00 00", more=True).telegrams)
    second = DLT645.follow_up(request, telegrams)
    assert second == Request(METER, 0x12, "0001FF00", count=1, ids=("0001FF00",))
    telegrams += exchange(second, "11 00 00 00", more=True).telegrams
    third = DLT645.follow_up(request, telegrams)
    assert third is not None
    assert third.count == 2
    telegrams += exchange(third, "15 00 00 00").telegrams
    assert DLT645.follow_up(request, telegrams) is None
    found = DLT645.items(None, [Exchange(request, tuple(telegrams))])
    assert [item.value for item in found] == [Decimal("0.26"), Decimal("0.11"), Decimal("0.15")]


def test_an_answer_without_end_is_given_up_and_is_no_value() -> None:
    request = Request(METER, 0x11, "0001FF00")
    telegrams = exchange(request, "26 00 00 00", more=True).telegrams * 256
    assert DLT645.follow_up(request, telegrams[:255]) is not None
    assert DLT645.follow_up(request, telegrams) is None
    (item,) = DLT645.items(None, [Exchange(request, telegrams)])
    assert (item.value, item.reason) == (None, "wrong_length")


# --- profiles of others ---------------------------------------------------------------------------------------------------

SITE = """
id = "site"
protocol = "dlt645"
maker = "x"
models = ["x"]
phases = 1
sources = ["made for this test"]
[identity]
id = "04000402"
type = "NNNNNNNNNNNN"
[[register]]
id = "0001FF00"
position = 0
quantity = "1-0:1.8.0"
type = "XXXXXX.XX"
invalid = ["99 99 99 99"]
[[register]]
id = "0001FF00"
position = 1
quantity = "1-0:1.8.1"
type = "XXXXXX.XX"
[[register]]
id = "01010000"
quantity = "1-0:1.6.0"
type = "XX.XXXX YYMMDDhhmm"
"""


def site_profile() -> Profile:
    return Profile.model_validate(tomllib.loads(SITE))


def test_a_block_of_the_instant_is_read_once() -> None:
    wanted = [Wanted("1-0:1.8.0"), Wanted("1-0:1.8.1")]
    assert targets(wanted, site_profile()) == ["0001FF00"]
    found = answered(wanted, "99 99 99 99 10 00 00 00", profile=site_profile())
    assert [(i.quantity, i.value, i.reason) for i in found] == [
        ("1-0:1.8.0", None, "invalid_value"),
        ("1-0:1.8.1", Decimal("0.10"), ""),
    ]


def test_the_meter_number_says_which_meter_it_is() -> None:
    profile = site_profile()
    request = DLT645.identity(profile, "161")
    assert request is not None
    assert (request.target, request.ids) == ("04000402", ("04000402",))
    (item,) = DLT645.items(profile, [exchange(request, "12 90 78 56 34 12")])
    assert (item.id, item.value) == ("04000402", "123456789012")
    assert DLT645.identity(THREE, "161") is None


def test_a_demand_that_never_was_is_no_reading() -> None:
    wanted = [Wanted("1-0:1.6.0")]
    (item,) = answered(wanted, "34 12 00 45 10 14 03 26", profile=site_profile())
    assert (item.value, item.time) == (Decimal("0.1234"), datetime(2026, 3, 14, 10, 45))  # noqa: DTZ001
    (item,) = answered(wanted, "00 00 00 00 00 00 00 00", profile=site_profile())
    assert (item.value, item.reason) == (None, "impossible_time")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"01010000"', '"1010000"', r"site\.toml:23: register\.2\.id: '1010000' is no data identifier"),
        ('"XX.XXXX YYMMDDhhmm"', '"uint32"', r"site\.toml:25: register\.2\.type: 'uint32' is no picture"),
        ('"XX.XXXX YYMMDDhhmm"', '"XXX.XXXX"', r"site\.toml:25: register\.2\.type: .* is no picture of whole bytes"),
    ],
)
def test_a_profile_that_cannot_be_read_says_where(
    tmp_path_factory: pytest.TempPathFactory, old: str, new: str, complaint: str
) -> None:
    path = tmp_path_factory.mktemp("profiles") / "site.toml"
    path.write_text(SITE.replace(old, new), encoding="utf-8")
    with pytest.raises(ProfileError, match=complaint):
        load_profile(path)


# --- dumps ----------------------------------------------------------------------------------------------------------------


def test_a_dump_of_a_talk() -> None:
    talk = [
        encode("161", 0x11, bytes.fromhex("00 00 01 00")),
        encode("161", 0x91, bytes.fromhex("00 00 01 00 26 00 00 00"), preamble=b"\xfe"),
        bytes.fromhex("00 11 22"),
        encode("161", 0xB1, bytes.fromhex("00 FF 01 00 26 00 00 00")),
        encode("161", 0x92, bytes.fromhex("00 FF 01 00 26 00 00 00 01")),
        encode("161", 0x93, bytes.fromhex("61 01 0F 00 00 00")),
        encode("161", 0x94),
        encode("161", 0x91, bytes.fromhex("01 02 03 04 05")),
        encode("161", 0x91, bytes.fromhex("01 02"))[:-1],
    ]
    found = DLT645.decode(b"".join(talk))
    assert [one.direction for one in found] == [
        "request",
        "answer",
        "",
        "answer",
        "answer",
        "answer",
        "answer",
        "answer",
        "",
    ]
    assert [[(i.id, i.value, i.reason) for i in one.items] for one in found] == [
        [],
        [("00010000", Decimal("0.26"), "")],
        [],
        [("0001FF00", None, "unfinished")],
        [("0001FF00", None, "unfinished")],
        [("address", None, "bad_digits")],
        [],
        [("04030201", None, "unknown")],
        [],
    ]
    codes = [one.event.error.code for one in found if isinstance(one.event, Garbage)]
    assert codes == ["unexpected_bytes", "wrong_length"]


@pytest.mark.parametrize("filler", [b"\xfe", b"\xff" * 700])
def test_a_dump_without_a_frame_says_so(filler: bytes) -> None:
    (only,) = DLT645.decode(filler)
    assert isinstance(only.event, Garbage)
    assert only.event.data == filler


def test_nothing_is_no_dump() -> None:
    assert DLT645.decode(b"") == []


def test_a_long_dump_loses_nothing() -> None:
    frame = encode("161", 0x91, bytes.fromhex("00 00 01 00 26 00 00 00"))
    assert len(DLT645.decode(frame * 500)) == 500
