"""`probe`: one device, no configuration. The devices are other people's (tests/peers)."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.flow.commands import READING_KEYS, run
from tests.links.peers import dlt645_meter, pymodbustcp_server
from tests.links.test_modbus_tcp_peer import words


@pytest.fixture
def modbus() -> Iterator[tuple[object, ...]]:
    """How to ask an SDM630, but for the profile."""
    identity = ("Eastron", "SDM630", "1.7")
    with pymodbustcp_server(input_={0: words(231.5), 72: [*words(1234.5), *words(0.5)]}, identity=identity) as port:
        yield ("probe", f"tcp://127.0.0.1:{port}", "--protocol", "modbus-tcp", "--address", "1", "--timeout", "10s")


@pytest.fixture
def dlt645() -> Iterator[str]:
    """Where a DL/T 645 meter listens."""
    with dlt645_meter("000000000161", energy={"00010000": 1234.56}, variable={"02010100": 231.5}) as port:
        yield f"tcp://127.0.0.1:{port}"


def lines(*args: object, status: int = 0) -> dict[str, dict[str, Any]]:
    """What was said, by quantity or id."""
    done = run(*args, "--json")
    assert done.exit_code == status, done.output
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["quantity"] or one["id"]: one for one in found}


def test_with_a_profile_a_device_gives_exact_readings(modbus: tuple[object, ...]) -> None:
    found = lines(*modbus, "--profile", "eastron_sdm630")
    energy = found["1-0:1.8.0"]
    assert list(energy) == READING_KEYS
    del energy["time"], energy["received_at"]
    assert energy == {
        "meter": "1", "point": None, "quantity": "1-0:1.8.0", "basis": "instant", "value": "1234.50", "unit": "kWh",
        "kind": "register", "quality": "raw", "source": "poll", "revision": 0,
    }  # fmt: skip
    assert Decimal(found["1-0:32.7.0"]["value"]) == Decimal("231.5")


def test_without_a_profile_a_modbus_device_says_what_it_is(modbus: tuple[object, ...]) -> None:
    found = lines(*modbus)
    assert {id_: one["value"] for id_, one in found.items()} == {
        "vendor": "Eastron",
        "product": "SDM630",
        "revision": "1.7",
    }
    assert "name a --profile" in run(*modbus).stderr


def test_without_a_profile_a_dlt645_meter_gives_what_is_usual(dlt645: str) -> None:
    found = lines("probe", dlt645, "--protocol", "dlt645", "--address", "000000000161", "--timeout", "10s")
    assert (found["1-0:1.8.0"]["meter"], found["1-0:1.8.0"]["value"]) == ("000000000161", "1234.56")
    assert list(found["1-0:1.8.0"]) == READING_KEYS
    combined = found["00000000"]
    assert (combined["quantity"], combined["id"], list(combined)) == (None, "00000000", [*READING_KEYS, "id"])


def test_a_table_for_people_in_their_language(dlt645: str) -> None:
    asked = ("probe", dlt645, "--protocol", "dlt645", "--address", "161", "--timeout", "10s")
    assert "import active energy total" in run(*asked).stdout
    assert "正向有功电能总" in run(*asked, language="zh").stdout


def test_what_a_profile_has_and_the_meter_has_not_is_status_1(dlt645: str) -> None:
    done = run(
        "probe", dlt645, "--protocol", "dlt645", "--address", "161", "--profile", "dlt645_2007_1p", "--timeout", "10s"
    )
    assert done.exit_code == 1
    assert "1234.56" in done.stdout
    assert "refused: the meter refuses" in done.stderr


@pytest.mark.parametrize("profile", [(), ("--profile", "eastron_sdm120")], ids=["usual", "profile"])
def test_an_address_that_the_protocol_does_not_have_is_wrong_usage(profile: tuple[str, ...]) -> None:
    done = run("probe", "tcp://127.0.0.1:1", "--protocol", "modbus-tcp", "--address", "300", *profile)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "'300' is no Modbus unit; write a number from 0 to 247 or 255\n"


def test_nobody_there_is_status_1() -> None:
    done = run("probe", "tcp://127.0.0.1:1", "--protocol", "dlt645", "--address", "161")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "connection_refused: 127.0.0.1:1" in done.stderr
    assert done.stderr.count("\n") == 1, "said once, not for every quantity"


def test_a_device_that_does_not_say_what_it_is_has_a_reason() -> None:
    done = run("probe", "tcp://127.0.0.1:1", "--protocol", "modbus-tcp", "--address", "1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no connection to 127.0.0.1:1" in done.stderr


HERE = "tcp://127.0.0.1:1"


@pytest.mark.parametrize(
    ("url", "protocol", "address", "more", "says"),
    [
        (HERE, "dlt654", "1", (), '"dlt654" is no protocol that can be asked; did you mean "dlt645"?'),
        ("udp://127.0.0.1:1", "dlt645", "1", (), "is no link"),
        ("tcp://127.0.0.1", "dlt645", "1", (), "names no port"),
        ("mqtt://127.0.0.1", "dlt645", "1", (), "dlt645 cannot go over mqtt://"),
        ("listen://0.0.0.0:9", "dlt645", "1", (), "known by its registration packet"),
        (HERE, "dlt645", "1x", (), "1x"),
        (HERE, "modbus-rtu", "1", (), "name a --profile: eastron_sdm120, eastron_sdm630"),
        (HERE, "modbus-tcp", "300", (), "300"),
        (HERE, "dlt645", "1", ("--profile", "eastron_sdm63"), 'did you mean "eastron_sdm630"?'),
        (HERE, "dlt645", "1", ("--profile", "eastron_sdm630"), "is read by modbus, not by dlt645"),
        (HERE, "dlt645", "1", ("--profile", "none.toml"), "none.toml: No such file"),
        (HERE, "dlt645", "1", ("--timeout", "1"), "--timeout: '1' is no duration"),
        (HERE, "dlt645", "1", ("--timeout", "1h"), "--timeout: 1h"),
        (HERE, "dlt645", "1", ("--zone", "Asia/Shangai"), 'did you mean "Asia/Shanghai"?'),
    ],
)  # fmt: skip
def test_wrong_usage_is_status_2(url: str, protocol: str, address: str, more: tuple[str, ...], says: str) -> None:
    done = run("probe", url, "--protocol", protocol, "--address", address, *more)
    assert done.exit_code == 2, done.output
    assert says in done.stderr


def test_frames_are_shown_as_a_profile_writes_them(dlt645: str) -> None:
    how = ("probe", dlt645, "--protocol", "dlt645", "--address", "161", "--timeout", "10s", "--json")
    done = run(*how, "--frames")
    assert "> fe fe fe fe 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16\n" in done.stderr
    assert "68 61 01 00 00 00 00 68 91 08 33 33 34 33 89 67 45 33 00 16  ok\n" in done.stderr
    assert all(json.loads(line) for line in done.stdout.splitlines())
    assert ">" not in run(*how).stderr
