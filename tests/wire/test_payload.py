"""JSON messages: exact values out of good ones, one clear reason for each kind of poison."""

import json
import re
import tomllib
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from protocols.errors import BadPayload, ProfileError
from protocols.json_path import MISSING, follow, parse_path
from protocols.payload import MOST_BYTES, Message, Number, address_in, number_of, read_message
from protocols.profile import Profile, Vector, builtin_profiles, load_profile
from protocols.telegram import Item

METER = builtin_profiles()["json_meter"]
AT = "2026-03-14T00:15:00+08:00"
AT_UTC = datetime(2026, 3, 13, 16, 15, tzinfo=UTC)

GATEWAY_TOML = """
id = "gateway"
protocol = "mqtt-json"
maker = "x"
models = ["x"]
phases = 1
sources = ["a profile that is not the built-in one"]
[json]
topic = "plant/+/<address>/up"
time = "head.ts"
time_is = "epoch_ms"
[[register]]
id = 'data.0."energy.total"'
quantity = "1-0:1.8.0"
type = "decimal"
scale = "0.001"
[[register]]
id = "data.1.u"
quantity = "1-0:32.7.0"
type = "decimal"
"""
GATEWAY = Profile.model_validate(tomllib.loads(GATEWAY_TOML))


def said(**fields: object) -> bytes:
    return json.dumps({"time": AT, "values": {"1-0:1.8.0": "123.45"}} | fields).encode()


def test_a_message_as_the_design_has_it() -> None:
    message = read_message(METER, said(seq=17))
    item = Item('values."1-0:1.8.0"', b"123.45", Decimal("123.45"), "kWh", "1-0:1.8.0", AT_UTC, basis="instant")
    assert message == Message(AT_UTC, "instant", 17, (item,))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("98765432.1", "98765432.1"),
        ("0.1", "0.1"),
        ("12345678901234567.123456", "12345678901234567.123456"),
        ('"12345678901234567.123456"', "12345678901234567.123456"),
        ("-3", "-3"),
        ("1.5e2", "150"),
        ('"007.50"', "7.50"),
    ],
)
def test_numbers_and_texts_are_exact(written: str, value: str) -> None:
    payload = said().replace(b'"123.45"', written.encode())
    (item,) = read_message(METER, payload).items
    assert item.value == Decimal(value)
    assert isinstance(item.value, Decimal)


@pytest.mark.parametrize("quantity", ["1-0:3.8.0", "1-0:32.7.0", "8-0:1.0.0", "1-0:1.8.0*01", "1-0:1.29.0"])
def test_any_quantity_of_the_catalogue_may_stand_under_values(quantity: str) -> None:
    (item,) = read_message(METER, said(values={quantity: 1})).items
    assert item.quantity == quantity
    register = METER.find(quantity, "instant")
    assert register is not None
    assert (register.id, register.resolution) == (item.id, Decimal("0.001"))


def test_only_what_the_profile_lists_may_be_billed() -> None:
    listed, other = METER.find("1-0:1.8.0", "instant"), METER.find("1-0:3.8.0", "instant")
    assert listed is not None
    assert other is not None
    assert (listed.billable, other.billable) == (True, False)
    assert METER.find("1-0:3.9.0", "instant") is None
    assert METER.find("nonsense", "instant") is None
    assert METER.find("1-0:1.8.0", "hourly") is None
    assert METER.find("1-0:1.8.0", "curve") is not None
    assert GATEWAY.find("1-0:3.8.0", "instant") is None


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-03-14T00:15:00Z", datetime(2026, 3, 14, 0, 15, tzinfo=UTC)),
        ("2026-03-14t00:15:00z", datetime(2026, 3, 14, 0, 15, tzinfo=UTC)),
        ("2026-03-14T00:15:00.123456789-01:30", datetime(2026, 3, 14, 1, 45, 0, 123456, tzinfo=UTC)),
    ],
)
def test_times_of_rfc_3339(written: str, at: datetime) -> None:
    assert read_message(METER, said(time=written)).time == at


@pytest.mark.parametrize(
    "time",
    [
        "2026-03-14T00:15:00",
        "2026-03-14",
        "20260314T001500Z",
        "2026-02-30T00:00:00Z",
        "2026-03-14T24:01:00Z",
        "2026-03-14T00:15:60Z",
        "2026-03-14T00:15:00+99:00",
        "0001-01-01T00:00:00+08:00",
        "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-03-14T00:15:00Z",
        1773417600,
        None,
        True,
        {},
    ],
)
def test_a_time_that_is_no_instant_is_poison(time: object) -> None:
    with pytest.raises(BadPayload, match=r"^time: .* is no (instant|time with its offset)"):
        read_message(METER, said(time=time))


@pytest.mark.parametrize(
    ("payload", "match"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"17", "not a JSON object"),
        (b"\xff\xfe{}", "not UTF-8"),
        ("\ufeff{}".encode(), "not JSON"),
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (said().replace(b'"123.45"', b'1, "1-0:1.8.0": 2'), "the key '1-0:1.8.0' stands twice"),
        (said().replace(b'"123.45"', b"NaN"), "NaN is no number"),
        (said().replace(b'"123.45"', b"-Infinity"), "-Infinity is no number"),
        (said(values={"1-0:1.8.0": "NaN"}), "'NaN' is no decimal number"),
        (said(values={"1-0:1.8.0": "1_000"}), "is no decimal number"),
        (said(values={"1-0:1.8.0": " 1"}), "is no decimal number"),
        (said(values={"1-0:1.8.0": "1,5"}), "is no decimal number"),
        (said(values={"1-0:1.8.0": "١"}), "is no decimal number"),
        (said(values={"1-0:1.8.0": True}), "True is no decimal number"),
        (said(values={"1-0:1.8.0": {"value": 1}}), "is no decimal number"),
        (said().replace(b'"123.45"', b"1e999999999"), "larger or finer"),
        (said().replace(b'"123.45"', b"1e-41"), "larger or finer"),
        (said().replace(b'"123.45"', b"9" * 5000), "more digits than any meter"),
        (said(values={"1.8.0": 1}), "values: '1.8.0' is no quantity of the catalogue"),
        (said(values={"1-0:99.9.0": 1}), "is no quantity of the catalogue"),
        (said(values={"\ud800": 1}), r"values: '\\ud800' is no quantity"),
        (said(values={}), "no value that the profile knows"),
        (said(values=[1]), r"values: \[.* is no object of OBIS codes"),
        (b'{"time": "%s"}' % AT.encode(), "no value that the profile knows"),
        (b'{"values": {"1-0:1.8.0": 1}}', "no time"),
        (said(seq=-1), "seq: '-1' is no number of a message"),
        (said(seq=1.5), "is no number of a message"),
        (said(seq="17"), "is no number of a message"),
        (said(seq=2**63), "is no number of a message"),
        (said(basis="hourly"), "basis: 'hourly' is none of instant, freeze"),
        (said(basis=1), "basis: '1' is none of"),
        (said(extra=[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]), "nested 17 deep"),
        (b"[" * MOST_BYTES, f"nested {MOST_BYTES} deep"),
        (b" " * MOST_BYTES + b"{", f"{MOST_BYTES + 1} bytes"),
    ],
)
def test_poison_is_refused_with_its_reason(payload: bytes, match: str) -> None:
    with pytest.raises(BadPayload, match=match) as caught:
        read_message(METER, payload)
    assert str(caught.value).isprintable()
    assert caught.value.code == "bad_payload"


def test_the_largest_and_deepest_that_may_be() -> None:
    payload = said(extra=[[[[[[[[[[[[[[["["]]]]]]]]]]]]]]])
    assert read_message(METER, payload.ljust(MOST_BYTES)).items


@pytest.mark.parametrize("payload", [b'"' + b'\\"' * 32_000, b'{"' * 20_000, b'{"a":1,' + b'"a":1,' * 10_000])
def test_no_payload_takes_long(payload: bytes) -> None:
    """The first took 8 s while the depth was found by looking for strings that have a closing quote."""
    begun = perf_counter()
    with pytest.raises(BadPayload):
        read_message(METER, payload)
    assert perf_counter() - begun < 2


def test_null_is_a_value_that_the_meter_has_not() -> None:
    good, empty = read_message(METER, said(values={"1-0:1.8.0": 1, "1-0:2.8.0": None})).items
    assert (good.value, good.reason) == (Decimal(1), "")
    assert (empty.value, empty.reason, empty.quantity) == (None, "invalid_value", "1-0:2.8.0")


def test_a_freeze_says_so() -> None:
    message = read_message(METER, said(basis="freeze"))
    assert (message.basis, message.items[0].basis) == ("freeze", "freeze")


@pytest.mark.parametrize(
    ("profile", "topic", "address"),
    [
        (METER, "meters/0012/reading", "0012"),
        (METER, "meters/表 1/reading", "表 1"),
        (METER, "meters/1/2/reading", None),
        (METER, "meters//reading", None),
        (METER, "meters/12/reading/", None),
        (METER, "x/meters/12/reading", None),
        (GATEWAY, "plant/north.1/7/up", "7"),
        (GATEWAY, "plant/7/up", None),
    ],
)
def test_the_address_is_a_level_of_the_topic(profile: Profile, topic: str, address: str | None) -> None:
    assert address_in(profile, topic) == address


def test_another_form_is_a_matter_of_paths() -> None:
    payload = b'{"head": {"ts": 1773417600123}, "data": [{"energy.total": 1234}, {"u": "230.1"}], "rssi": -70}'
    message = read_message(GATEWAY, payload)
    assert message.time == datetime(2026, 3, 13, 16, 0, 0, 123000, tzinfo=UTC)
    assert [(i.quantity, i.value) for i in message.items] == [
        ("1-0:1.8.0", Decimal(1234)),
        ("1-0:32.7.0", Decimal("230.1")),
    ]


def test_what_a_message_leaves_out_is_not_there() -> None:
    (item,) = read_message(GATEWAY, b'{"head": {"ts": 0}, "data": [{"energy.total": 1}]}').items
    assert item.quantity == "1-0:1.8.0"


@pytest.mark.parametrize("ts", ["1e40", '"x"', "null", "-99999999999999999999"])
def test_a_count_that_is_no_instant(ts: str) -> None:
    with pytest.raises(BadPayload, match=r"head\.ts: .* is no (instant|decimal number)"):
        read_message(GATEWAY, b'{"head": {"ts": %s}, "data": [{"energy.total": 1}]}' % ts.encode())


def test_a_profile_of_another_family_reads_no_messages() -> None:
    with pytest.raises(ProfileError, match="not one for JSON"):
        read_message(builtin_profiles()["dlt645_2007_1p"], said())


MESSAGES = [(profile, vector) for profile in builtin_profiles().values() if profile.json_ for vector in profile.vector]


@pytest.mark.parametrize(("profile", "vector"), MESSAGES)
def test_the_messages_of_the_profiles(profile: Profile, vector: Vector) -> None:
    assert isinstance(vector.answer, str)
    message = read_message(profile, bytes.fromhex(vector.answer))
    found = {(item.quantity, item.basis): item for item in message.items}
    assert len(found) == len(vector.readings)
    for expected in vector.readings:
        item = found[expected.quantity, expected.basis]
        assert (item.value, item.reason) == (expected.value, expected.reason)
        assert expected.time is None or item.time == datetime.fromisoformat(expected.time)


def test_there_are_messages_to_replay() -> None:
    assert len(MESSAGES) >= 2


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('time = "head.ts"', 'time = "head..ts"', r"json\.time: 'head\.\.ts' is no dotted path"),
        ('time = "head.ts"', "", r"json\.time: Field required"),
        ('"plant/+/<address>/up"', '"plant/#"', r"json\.topic: String should match"),
        ('"plant/+/<address>/up"', '"<address>/<address>"', r"json\.topic: String should match"),
        ('"epoch_ms"', '"seconds"', r"json\.time_is: Input should be 'rfc3339', 'epoch_s' or 'epoch_ms'"),
        ('id = "data.1.u"', 'id = "data[1].u "', r"x\.toml:18: register\.1\.id: .* is no dotted path"),
        ('type = "decimal"\nscale', 'type = "float32"\nscale', r"x\.toml:15: register\.0\.type: .* of type decimal"),
        ("[json]", "[modbus]", r"modbus\.topic"),
    ],
)
def test_a_profile_that_says_it_wrong_is_told_where(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(GATEWAY_TOML.replace(old, new), encoding="utf-8")
    with pytest.raises(ProfileError, match=complaint):
        load_profile(path)


def test_a_json_profile_has_its_table_and_others_have_none() -> None:
    data = tomllib.loads(GATEWAY_TOML)
    with pytest.raises(ValidationError, match=r"has a \[json\] table"):
        Profile.model_validate({key: value for key, value in data.items() if key != "json"})
    with pytest.raises(ValidationError, match=r"has a \[json\] table"):
        Profile.model_validate(data | {"protocol": "dlt645"})


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", 'a."b', 'a"b"', "a b", '""'])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ProfileError, match="no dotted path"):
        parse_path(path)


def test_paths_are_followed_as_far_as_the_message_goes() -> None:
    message = {"a": [{"b.c": 1}, None], "0": {"1": 2}}
    assert follow(message, 'a.0."b.c"') == 1
    assert follow(message, "a.1") is None
    assert follow(message, "0.1") == 2
    for path in ("b", "a.2", "a.-1", "a.x", 'a.0."b.c".d', "a.²"):
        assert follow(message, path) is MISSING


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,0123456789.eE-"\\ntime values', max_size=100).map(str.encode))
def test_arbitrary_bytes_are_a_message_or_poison(payload: bytes) -> None:
    with suppress(BadPayload):
        assert read_message(METER, payload).items


@given(
    st.dictionaries(
        st.sampled_from(["1-0:1.8.0", "1-0:1.8.1", "1-0:2.8.0", "1-0:3.8.0", "1-0:32.7.0"]),
        st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12),
        min_size=1,
    ),
    st.booleans(),
)
def test_what_is_said_is_what_is_read(values: dict[str, Decimal], as_text: bool) -> None:
    quote = '"' if as_text else ""
    fields = ", ".join(f'"{quantity}": {quote}{value:f}{quote}' for quantity, value in values.items())
    message = read_message(METER, f'{{"time": "{AT}", "values": {{{fields}}}}}'.encode())
    assert {item.quantity: item.value for item in message.items} == values


# --- numbers of concentrators ---------------------------------------------------------------------------------------------

NUMBERED = {"time": "2026-03-14T00:15:00+08:00", "values": {"1-0:1.8.0": "1"}, "seq": 17, "boot_id": "b-1"}


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ({}, Number("", "b-1", 17)),
        ({"dcu": "dcu-7", "oldest": 4}, Number("dcu-7", "b-1", 17, 4)),
        ({"dcu": 4711, "boot_id": 12}, Number("4711", "12", 17)),
        ({"boot_id": None}, None),
    ],
)
def test_which_of_its_sender_s_messages_it_is(told: dict[str, object], number: Number | None) -> None:
    profile = builtin_profiles()["json_meter"]
    said = json.dumps({**NUMBERED, **told}).encode()
    assert read_message(profile, said).number == number == number_of(profile, said)


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ({"seq": None}, "boot_id without seq"),
        ({"dcu": "a/b"}, "dcu: 'a/b' is no name"),
        ({"dcu": "+"}, "is no name"),
        ({"dcu": "x" * 65}, "is no name"),
        ({"boot_id": ""}, "boot_id: '' is no name"),
        ({"boot_id": ["b"]}, "is no name"),
        ({"oldest": -1}, "oldest: '-1' is no number of a message"),
    ],
)
def test_a_number_that_makes_no_sense_is_poison(told: dict[str, object], wrong: str) -> None:
    profile = builtin_profiles()["json_meter"]
    said = json.dumps({**NUMBERED, **told}).encode()
    with pytest.raises(BadPayload, match=re.escape(wrong)):
        read_message(profile, said)
    assert number_of(profile, said) is None


def test_the_number_of_a_message_with_another_mistake_is_known() -> None:
    """It is kept as a dead letter, and its sender may forget it."""
    profile = builtin_profiles()["json_meter"]
    said = json.dumps({**NUMBERED, "values": {"1-0:1.8.0": "12,5"}}).encode()
    assert number_of(profile, said) == Number("", "b-1", 17)
    assert number_of(profile, b"no JSON") is None
