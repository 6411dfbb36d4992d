"""`decode`: one JSON object a frame, and exit status 1 when something is none."""

import json
from typing import Any

import pytest

from tests.flow.commands import run

# Answer for 02030000 (power total) 0.2512 kW from meter 000000000161: published as an example with its meaning.
POWER = "68 61 01 00 00 00 00 68 91 07 33 33 36 35 45 58 33 6B 16"
ASKED = "FE FE FE FE 68 78 56 34 12 00 00 68 11 04 33 33 34 33 C6 16"
KEYS = ["protocol", "ok", "error", "address", "function", "items", "frame"]


def decode(*dumps: str, status: int = 0, stdin: str | None = None, protocol: str = "dlt645") -> list[dict[str, Any]]:
    """What is said of these."""
    done = run("decode", "--protocol", protocol, *dumps, stdin=stdin)
    assert done.exit_code == status, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_answer() -> None:
    (said,) = decode(POWER)
    assert list(said) == KEYS
    item = {
        "id": "02030000",
        "value": "0.2512",
        "unit": "kW",
        "quantity": "1-0:16.7.0",
        "time": None,
        "raw": "12 25 00",
    }
    expected = {"protocol": "dlt645", "ok": True, "error": None, "address": "000000000161", "function": "91"}
    assert said == {**expected, "items": [item], "frame": POWER}


@pytest.mark.parametrize(
    "dumps", [tuple(ASKED.split()), (ASKED,), (ASKED.replace(" ", ""),), (ASKED.replace(" ", ":").lower(),)]
)
def test_bytes_may_be_written_as_logs_write_them(dumps: tuple[str, ...]) -> None:
    (said,) = decode(*dumps)
    assert (said["address"], said["function"], said["items"][0]["id"]) == ("000012345678", "11", "00010000")


def test_each_argument_is_a_dump_of_its_own() -> None:
    assert [said["ok"] for said in decode(POWER[:-9], POWER, status=1)] == [False, True]


def test_a_wrong_checksum_is_status_1_and_says_so() -> None:
    (said,) = decode(POWER.replace("6B 16", "6C 16"), status=1)
    assert not said["ok"]
    assert said["error"].startswith("bad_checksum: ")
    assert said["frame"] == POWER.replace("6B 16", "6C 16")


def test_a_device_that_says_no_has_sent_a_good_frame() -> None:
    (said,) = decode("68 43 10 00 11 34 00 68 D1 01 31 6B 16")
    assert said["ok"]
    assert said["error"].startswith("refused: ")
    (said,) = decode("00 01 00 00 00 03 01 83 02", protocol="modbus-tcp")
    assert said["ok"]
    assert said["error"] == "exception_2"


def test_lines_from_standard_input() -> None:
    stdin = f"# a log\n{POWER}\n\nnonsense\n{ASKED}\n"
    said = decode("-", stdin=stdin, status=1)
    assert [one["ok"] for one in said] == [True, False, True]
    assert said[1] == dict.fromkeys(KEYS) | {
        "protocol": "dlt645",
        "ok": False,
        "error": "not_hex: nonsense",
        "items": [],
    }


def test_no_hexadecimal_digits_are_wrong_usage() -> None:
    done = run("decode", "--protocol", "dlt645", "6G")
    assert (done.exit_code, done.stderr) == (2, '"6G" is no row of hexadecimal digits in pairs\n')


def test_an_unknown_protocol_is_wrong_usage_and_the_known_ones_are_said() -> None:
    done = run("decode", "--protocol", "dlt654", POWER)
    assert done.exit_code == 2
    assert done.stderr.startswith('"dlt654" is no protocol that can be decoded; there are: dlt645, ')
