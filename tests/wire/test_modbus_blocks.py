"""Which registers are read together, and that each value comes back as it was put on the wire."""

import struct
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dialect import Exchange, Wanted
from protocols.dialects import DIALECTS
from protocols.errors import ProfileError, RequestError
from protocols.profile import Identity, Profile, Register, builtin_profiles
from protocols.telegram import Item, Request, Telegram

SDM630 = builtin_profiles()["eastron_sdm630"]
SDM120 = builtin_profiles()["eastron_sdm120"]
TCP = DIALECTS["modbus-tcp"]


def profile(*registers: dict[str, Any], **modbus: object) -> Profile:
    """A small meter of our own."""
    how = {"function": 3, "word_order": "ABCD", "max_registers": 20, "max_gap": 2} | modbus
    return Profile.model_validate(
        {
            "id": "test",
            "protocol": "modbus",
            "maker": "none",
            "models": ["none"],
            "phases": 3,
            "sources": ["made up for a test"],
            "modbus": how,
            "register": list(registers),
        }
    )


def register(id_: int | str, quantity: str, type_: str = "float32", **more: object) -> dict[str, Any]:
    return {"id": str(id_), "quantity": quantity, "type": type_} | more


def all_of(meter: Profile) -> list[Wanted]:
    return [Wanted(one.quantity, one.basis) for one in meter.registers]


def answer(request: Request, words: bytes) -> Exchange:
    return Exchange(request, (Telegram(request.address, request.function, words, b""),))


def only(items: tuple[Item, ...]) -> Item:
    (item,) = items
    return item


def test_sdm630_takes_two_requests() -> None:
    assert [(one.function, one.target, one.count) for one in TCP.requests(SDM630, "1", all_of(SDM630))] == [
        (4, "0", 80),
        (4, "342", 22),
    ]


def test_sdm120_leaves_the_great_holes_out() -> None:
    assert [(one.target, one.count) for one in TCP.requests(SDM120, "1", all_of(SDM120))] == [
        ("0", 32),
        ("70", 10),
        ("342", 2),
    ]


def test_energies_alone() -> None:
    (request,) = TCP.requests(SDM630, "7", [Wanted("1-0:2.8.0"), Wanted("1-0:1.8.0"), Wanted("1-0:1.8.0")])
    assert request == Request("7", 4, "72", 4, ("72", "74"))


def test_what_the_profile_has_not_is_left_out() -> None:
    assert TCP.requests(SDM630, "1", [Wanted("1-0:1.8.1"), Wanted("1-0:1.8.0", "freeze")]) == ()


def test_functions_are_not_mixed() -> None:
    meter = profile(register(0, "1-0:1.8.0"), register(2, "1-0:2.8.0", function=4))
    assert [(one.function, one.target) for one in TCP.requests(meter, "1", all_of(meter))] == [(3, "0"), (4, "2")]


def test_gap_and_limit() -> None:
    places = [(0, "1-0:1.8.0"), (4, "1-0:2.8.0"), (9, "1-0:3.8.0"), (11, "1-0:4.8.0")]
    meter = profile(*(register(*place) for place in places), max_gap=2, max_registers=6)
    blocks = [(one.target, one.count, one.ids) for one in TCP.requests(meter, "1", all_of(meter))]
    assert blocks == [("0", 6, ("0", "4")), ("9", 4, ("9", "11"))]
    narrow = profile(*(register(*place) for place in places), max_gap=0, max_registers=3)
    assert [one.target for one in TCP.requests(narrow, "1", all_of(narrow))] == ["0", "4", "9", "11"]


@given(
    wanted=st.lists(st.sampled_from(SDM630.registers), unique=True),
    gap=st.integers(0, 40),
    limit=st.integers(2, 125),
)
def test_blocks_are_whole_within_bounds_and_as_few_as_can_be(wanted: list[Register], gap: int, limit: int) -> None:
    assert SDM630.modbus is not None
    how = SDM630.modbus.model_copy(update={"max_gap": gap, "max_registers": limit})
    meter = SDM630.model_copy(update={"modbus": how})
    requests = TCP.requests(meter, "1", [Wanted(one.quantity) for one in wanted])
    starts = sorted(int(one.id) for one in wanted)
    assert sorted(int(id_) for one in requests for id_ in one.ids) == starts
    for one in requests:
        first, places = int(one.target), [int(id_) for id_ in one.ids]
        assert one.count <= limit
        assert places[0] == first
        assert places[-1] + 2 == first + one.count
        assert all(later - earlier - 2 <= gap for earlier, later in pairwise(places))
    assert len(requests) == fewest(starts, gap, limit)


def fewest(starts: list[int], gap: int, limit: int) -> int:
    """The least number of blocks for values of two registers, by trying every way to cut."""
    best = [0]
    for end in range(1, len(starts) + 1):
        options = []
        for begin in range(end - 1, -1, -1):
            if begin < end - 1 and starts[begin + 1] - starts[begin] - 2 > gap:
                break
            if starts[end - 1] + 2 - starts[begin] > limit:
                break
            options.append(best[begin] + 1)
        best.append(min(options))
    return best[-1]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=40, max_size=40))
def test_every_value_of_the_block_lands_in_its_place(numbers: list[float]) -> None:
    first, _ = TCP.requests(SDM630, "1", all_of(SDM630))
    words = struct.pack(">40f", *numbers)
    items = {item.id: item for item in TCP.items(SDM630, [answer(first, words)])}
    assert set(items) == set(first.ids)
    for id_, item in items.items():
        raw = words[2 * int(id_) : 2 * int(id_) + 4]
        assert item.raw == raw
        if item.reason:
            assert raw == bytes.fromhex("80000000")
        else:
            assert item.value == Decimal(numbers[int(id_) // 2])
        found = SDM630.find(item.quantity or "", item.basis or "")
        assert found is not None
        assert found.id == id_


@pytest.mark.parametrize(
    ("order", "wire"), [("ABCD", "00012345"), ("CDAB", "23450001"), ("BADC", "01004523"), ("DCBA", "45230100")]
)
def test_word_order_of_the_profile(order: str, wire: str) -> None:
    meter = profile(register(0, "1-0:1.8.0", "uint32", scale="0.01", invalid=["FFFFFFFF"]), word_order=order)
    (request,) = TCP.requests(meter, "1", all_of(meter))
    item = only(TCP.items(meter, [answer(request, bytes.fromhex(wire))]))
    assert (item.value, item.raw.hex(), item.unit) == (Decimal(0x12345), wire, None)


def test_unit_is_named_only_where_the_wire_has_it() -> None:
    meter = profile(register(0, "1-0:1.8.0", "uint32"), register(2, "1-0:2.8.0", "uint32", scale="0.01"))
    (request,) = TCP.requests(meter, "1", all_of(meter))
    assert [item.unit for item in TCP.items(meter, [answer(request, bytes(8))])] == ["kWh", None]


@pytest.mark.parametrize(
    ("type_", "wire", "invalid"),
    [
        ("uint16", "FFFF", ["ffff"]),
        ("int16", "8000", ["8000"]),
        ("int32", "80000000", ["80000000"]),
        ("uint64", "FFFFFFFFFFFFFFFF", ["FFFFFFFFFFFFFFFF"]),
        ("float32", "7FC00000", []),
        ("float32", "FF800000", []),
        ("float64", "7FF8000000000000", []),
        ("float32", "80000000", ["80000000"]),
    ],
)
def test_no_value_is_never_a_number(type_: str, wire: str, invalid: list[str]) -> None:
    meter = profile(register(0, "1-0:1.8.0", type_, invalid=invalid))
    (request,) = TCP.requests(meter, "1", all_of(meter))
    item = only(TCP.items(meter, [answer(request, bytes.fromhex(wire))]))
    assert (item.value, item.step, item.reason, item.raw) == (None, None, "invalid_value", bytes.fromhex(wire))


def test_an_answer_too_short_for_its_request_gives_no_value() -> None:
    """The session lets none through; were one to come, it must not become a number."""
    item = only(TCP.items(SDM630, [answer(Request("1", 4, "72", 2, ("72",)), b"\x44\x9a")]))
    assert (item.value, item.reason) == (None, "wrong_length")


def test_identity() -> None:
    request = TCP.identity(SDM630, "5")
    assert request == Request("5", 3, "64512", 2, ("64512",))
    item = only(TCP.items(SDM630, [answer(request, bytes.fromhex("0134F1C2"))]))
    assert (item.id, str(item.value), item.quantity) == ("64512", "20246978", None)
    assert TCP.identity(profile(register(0, "1-0:1.8.0")), "5") is None


def test_text_as_identity() -> None:
    named = Identity(id="100", type="string6", function=4)
    meter = profile(register(0, "1-0:1.8.0")).model_copy(update={"identity": named})
    request = TCP.identity(meter, "5")
    assert request == Request("5", 4, "100", 3, ("100",))
    assert only(TCP.items(meter, [answer(request, b"A12 \x00\x00")])).value == "A12"


def test_without_a_profile_each_register_by_its_address() -> None:
    items = TCP.items(None, [answer(Request("1", 3, "100", 2), bytes.fromhex("0001FFFF"))])
    assert [(item.id, item.value) for item in items] == [("100", Decimal(1)), ("101", Decimal(65535))]


def test_nothing_is_usual_and_nothing_follows() -> None:
    assert TCP.usual("1") == ()
    assert TCP.follow_up(Request("1", 3, "0", 1), []) is None


@pytest.mark.parametrize("name", ["modbus-tcp", "modbus-rtu"])
@pytest.mark.parametrize("address", ["248", "-1", "one", ""])
def test_no_unit(name: str, address: str) -> None:
    dialect = DIALECTS[name]
    with pytest.raises(RequestError, match="is no Modbus unit"):
        dialect.requests(SDM630, address, [])
    with pytest.raises(RequestError, match="is no Modbus unit"):
        dialect.identity(SDM630, address)
    with pytest.raises(RequestError, match="is no Modbus unit"):
        dialect.usual(address)


def test_255_is_a_unit_on_tcp_alone() -> None:
    assert TCP.requests(SDM630, "255", all_of(SDM630))
    with pytest.raises(RequestError, match="'255' is no Modbus unit"):
        DIALECTS["modbus-rtu"].requests(SDM630, "255", all_of(SDM630))


@pytest.mark.parametrize(
    ("broken", "match"),
    [
        (register(0, "1-0:1.8.0", "float"), "'float' is no Modbus type"),
        (register("x", "1-0:1.8.0"), "'x' is no wire address"),
        (register(65535, "1-0:1.8.0"), "'65535' is no wire address for float32"),
        (register(0, "1-0:1.8.0", "string30"), "takes 15 registers"),
        (register(0, "1-0:1.8.0", invalid=["ffff"]), "'ffff' at 0 is no pattern"),
    ],
)
def test_profile_that_cannot_be_read(broken: dict[str, Any], match: str) -> None:
    meter = profile(broken, max_registers=10)
    with pytest.raises(ProfileError, match=match):
        TCP.requests(meter, "1", all_of(meter))


@pytest.mark.parametrize(
    "meter", [one for one in builtin_profiles().values() if one.protocol == "modbus"], ids=lambda m: m.id
)
def test_our_profiles_can_be_read(meter: Profile) -> None:
    asked = [id_ for request in TCP.requests(meter, "1", all_of(meter)) for id_ in request.ids]
    assert sorted(asked, key=int) == sorted((one.id for one in meter.registers), key=int)
