"""Our DL/T 645 meters answer, byte for byte, what other people's meters answered with the same register and address."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.dlt645_face import Dlt645Bus, Dlt645Meter
from simulators.dlt645_values import Digits
from simulators.faults import Fault, FaultKind
from simulators.load import Load
from simulators.meter import Meter
from simulators.shapes import SHAPES
from simulators.truth import Truth

ZONE = ZoneInfo("Asia/Shanghai")
MOUNTED = datetime(2024, 3, 1, tzinfo=ZONE)
EVENING = datetime(2024, 3, 14, 21, 7, 5, tzinfo=ZONE)
OWN = "000000000161"


def device(
    address: str = OWN,
    kwh: str = "0.26",
    *,
    number: str = "24030001",
    phases: int = 1,
    preamble: int = 0,
    longest: int = 200,
    faults: Sequence[Fault] = (),
) -> Dlt645Meter:
    load = Load(SHAPES["shop"], seed=1, name=address, zone=ZONE, since=MOUNTED, phases=phases)
    start = int(Decimal(kwh) * 1_000_000)
    meter = Meter(address, load, mounted=MOUNTED, zone=ZONE, phases=phases, start_kwh=start, faults=faults)
    return Dlt645Meter(address, number, meter, preamble=preamble, longest=longest)


class Line:
    """A bus and the bytes on it."""

    def __init__(self, *devices: Dlt645Meter, at: datetime = MOUNTED) -> None:
        self.truth = Truth()
        self.bus = Dlt645Bus(devices, truth=self.truth)
        self.at = at

    def hears(self, frame: str | bytes) -> bytes:
        data = bytes.fromhex(frame) if isinstance(frame, str) else frame
        return b"".join(answer.data for answer in self.bus.receive(data, lambda: self.at))

    def asks(self, identifier: str, address: str = OWN) -> bytes:
        """DATA behind the identifier of a whole and right answer, made and unmade by hand."""
        answer = self.hears(request(bytes.fromhex(identifier)[::-1], address)).lstrip(b"\xfe")
        body = answer[10:-2]
        assert answer[0] == answer[7] == 0x68
        assert answer[-1] == 0x16
        assert sum(answer[:-2]) % 256 == answer[-2]
        assert answer[9] == len(body)
        assert answer[1:7] == bytes.fromhex(address)[::-1] or address.startswith("AA")
        assert answer[8] == 0x91, answer.hex()
        plain = bytes((byte - 0x33) % 256 for byte in body)
        assert plain[:4] == bytes.fromhex(identifier)[::-1]
        return plain[4:]


def request(data: bytes, address: str = OWN, control: int = 0x11) -> bytes:
    body = b"\x68" + bytes.fromhex(address)[::-1] + bytes([0x68, control, len(data)])
    body += bytes((byte + 0x33) % 256 for byte in data)
    return body + bytes([sum(body) % 256, 0x16])


# --- frames of others -----------------------------------------------------------------------------------------------------

FRAMES_OF_OTHERS = [
    # hwhale.com/article/138066, annotated trace: 00010000 of meter 161 is 0.26 kWh
    (
        device(),
        "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16",
        "68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16",
    ),
    # what the PyPI package dlt645 3.2.0 answered on loopback: 12345.67 kWh, four FE before it
    (
        device("123456781012", "12345.67", preamble=4),
        "68 12 10 78 56 34 12 68 11 04 33 33 34 33 E8 16",
        "FE FE FE FE 68 12 10 78 56 34 12 68 91 08 33 33 34 33 9A 78 56 34 08 16",
    ),
    # Dlt645.Core.Tests MeterClientTests.cs: 1234.56 kWh; read address; no such data
    (
        device("123456789012", "1234.56", preamble=2),
        "FE FE FE FE 68 12 90 78 56 34 12 68 11 04 33 33 34 33 68 16",
        "FE FE 68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 54 16",
    ),
    (
        device("123456789012", preamble=1),
        "FE FE FE FE 68 AA AA AA AA AA AA 68 13 00 DF 16",
        "FE 68 12 90 78 56 34 12 68 93 06 45 C3 AB 89 67 45 07 16",
    ),
    (
        device("123456789012"),
        "68 12 90 78 56 34 12 68 11 04 32 33 33 33 66 16",
        "68 12 90 78 56 34 12 68 D1 01 35 8D 16",
    ),
    # an all-decimal register of a rules file: 202106.26 kWh of meter 1
    (
        device("000000000001", "202106.26", preamble=4),
        "68 01 00 00 00 00 00 68 11 04 33 33 34 33 B3 16",
        "FE FE FE FE 68 01 00 00 00 00 00 68 91 08 33 33 34 33 59 39 54 53 70 16",
    ),
    # node dlt/handler inside 376.1 transparent forwarding: 6.78 kWh, and run status word 3 with the relay closed
    (
        device("151230011061", "6.78"),
        "68 61 10 01 30 12 15 68 11 04 33 33 34 33 7B 16",
        "68 61 10 01 30 12 15 68 91 08 33 33 34 33 AB 39 33 33 49 16",
    ),
    (
        device("151230011061"),
        "68 61 10 01 30 12 15 68 11 04 36 38 33 37 86 16",
        "68 61 10 01 30 12 15 68 91 06 36 38 33 37 33 33 6E 16",
    ),
]


@pytest.mark.parametrize(("one", "asked", "answered"), FRAMES_OF_OTHERS)
def test_it_answers_as_other_meters_did(one: Dlt645Meter, asked: str, answered: str) -> None:
    assert Line(one).hears(asked).hex(" ").upper() == answered


@pytest.mark.parametrize(
    ("digits", "millionths", "wire", "text"),
    [
        (Digits(2, 4, signed=True), 251_200, "12 25 00", "0.2512"),  # Java Test.java, WuSong 2017: P of meter 161
        (Digits(1, 3, signed=True), 501_000, "01 05", "0.501"),  # the same: PF
        (Digits(2, 4, signed=True), -1_500_000, "00 50 81", "-1.5000"),
        (Digits(3, 1), 220_190_000, "01 22", "220.1"),
        (Digits(6, 2), 1_234_567_890_000, "89 67 45 23", "234567.89"),
        (Digits(6, 2), 5_000, "00 00 00 00", "0.00"),
        (Digits(6, 2, signed=True), -5_000, "00 00 00 00", "0.00"),
    ],
)
def test_digits_are_cut_not_rounded(digits: Digits, millionths: int, wire: str, text: str) -> None:
    raw, shown = digits.show(millionths)
    assert raw.hex(" ") == wire
    assert shown == text or Decimal(shown) == Decimal(text)


# --- what it knows --------------------------------------------------------------------------------------------------------


def bcd(data: bytes) -> int:
    return int(data[::-1].hex())


def test_the_block_is_the_total_and_its_tariffs() -> None:
    line = Line(device(), at=EVENING)
    block = line.asks("0001FF00")
    values = [bcd(block[place : place + 4]) for place in range(0, 20, 4)]
    assert len(block) == 20
    assert values == [bcd(line.asks(f"0001{tariff:02d}00")) for tariff in range(5)]
    assert 0 <= values[0] - sum(values[1:]) < 4, "each cut to 0.01"
    for tariff, value in enumerate(values):
        shown = line.truth.value(OWN, f"1-0:1.8.{tariff}", "instant", EVENING)
        assert shown is not None
        assert Decimal(shown) == Decimal(value) / 100


def test_a_freeze_is_known_by_its_own_stamp() -> None:
    line = Line(device(), at=EVENING)
    assert line.asks("05060003").hex() == "0000120324", "00:00 on 12 March 2024, minutes first"
    value = bcd(line.asks("05060103")[:4])
    shown = line.truth.value(OWN, "1-0:1.8.0", "freeze", datetime(2024, 3, 12, tzinfo=ZONE))
    assert shown is not None
    assert Decimal(shown) == Decimal(value) / 100
    line.at += timedelta(days=1)
    assert line.asks("05060004").hex() == "0000120324", "the same midnight, one place further back"
    assert bcd(line.asks("05060104")[:4]) == value


def test_the_clock_is_the_meter_s_own_local_time() -> None:
    line = Line(device(), at=EVENING)
    assert line.asks("04000101").hex() == "04140324", "Thursday is 4"
    assert line.asks("04000102").hex() == "050721"
    assert line.asks("04000402").hex() == "010003240000"
    assert line.asks("04000401").hex() == "610100000000"


def test_three_phases_and_one() -> None:
    three, one = Line(device(phases=3), at=EVENING), Line(device(), at=EVENING)
    volts = [bcd(three.asks(f"02010{phase}00")) for phase in (1, 2, 3)]
    assert all(2050 < volt < 2350 for volt in volts)
    assert three.asks("0201FF00") == b"".join(three.asks(f"02010{phase}00") for phase in (1, 2, 3))
    assert len(three.asks("0203FF00")) == 12
    assert len(one.asks("0203FF00")) == 6
    assert one.hears(request(bytes.fromhex("00020102")))[8] == 0xD1
    assert 4990 < bcd(one.asks("02800002")) < 5010


@pytest.mark.parametrize(
    "identifier",
    [
        "00010500",
        "0001000D",
        "00090000",
        "02010000",
        "02010101",
        "05060140",
        "05060116",
        "05070101",
        "04000508",
        "03010000",
    ],
)
def test_what_it_does_not_know_is_refused(identifier: str) -> None:
    line = Line(device(), at=EVENING)
    answer = line.hears(request(bytes.fromhex(identifier)[::-1]))
    assert answer[8:11] == bytes([0xD1, 1, 0x02 + 0x33])
    assert not line.truth.shown


def test_what_it_does_not_do_is_refused() -> None:
    line = Line(device())
    assert line.hears(request(bytes(12), control=0x14))[8] == 0xD4
    assert line.hears(request(bytes(16), control=0x1C))[8] == 0xDC
    assert line.hears(request(bytes(2)))[8] == 0xD1
    assert line.hears(request(bytes(6), "9" * 12, control=0x08)) == b"", "broadcast time has no answer"


# --- the line -------------------------------------------------------------------------------------------------------------


def test_each_answers_its_own_address_only() -> None:
    line = Line(device(), device("000000000162", "99.00"))
    assert bcd(line.asks("00010000")) == 26
    assert bcd(line.asks("00010000", "000000000162")) == 9900
    assert line.hears(request(bytes.fromhex("00000100"), "000000000163")) == b""
    assert {key[0] for key in line.truth.shown} == {OWN, "000000000162"}


def test_a_shortened_address_is_answered_in_full() -> None:
    line = Line(device("123456789012", "5"), device("123456789034"))
    answer = line.hears(request(bytes.fromhex("00000100"), "AAAAAAAA9012"))
    assert answer[1:7].hex() == "129078563412"
    assert answer[8] == 0x91


def test_two_that_answer_at_once_spoil_each_other() -> None:
    line = Line(device(), device("000000000162"))
    heard = line.hears("68 AA AA AA AA AA AA 68 13 00 DF 16")
    assert heard
    assert sum(heard[:-2]) % 256 != heard[-2]


def test_noise_its_own_echo_and_an_answer_of_another_are_no_requests() -> None:
    line = Line(device())
    answer = line.hears(request(bytes.fromhex("00000100")))
    assert line.hears(answer) == b""
    assert line.hears(b"\x00\xff\x68\x11\x22") == b""
    heard = line.hears(request(bytes.fromhex("00000100")))
    heard += b"".join(late.data for late in line.bus.idle(lambda: line.at))
    assert heard == answer


def test_a_request_byte_by_byte() -> None:
    line = Line(device())
    heard = [line.hears(bytes([byte])) for byte in request(bytes.fromhex("00000100"))]
    assert not any(heard[:-1])
    assert heard[-1]


def test_a_long_answer_comes_in_parts() -> None:
    whole = Line(device(), at=EVENING).asks("0001FF00")
    line = Line(device(longest=12), at=EVENING)
    identifier = bytes.fromhex("0001FF00")[::-1]
    first = line.hears(request(identifier))
    assert first[8] == 0xB1
    gathered = [bytes((byte - 0x33) % 256 for byte in first[14:-2])]
    for sequence in (1, 2):
        part = line.hears(request(identifier + bytes([sequence]), control=0x12))
        assert part[8] == (0xB2 if sequence == 1 else 0x92)
        plain = bytes((byte - 0x33) % 256 for byte in part[10:-2])
        assert plain[-1] == sequence
        gathered.append(plain[4:-1])
    assert b"".join(gathered) == whole
    assert line.hears(request(identifier + b"\x03", control=0x12))[8] == 0xD2


def test_a_bad_checksum_and_silence_are_no_truth() -> None:
    bad = Fault(OWN, FaultKind.BAD_CHECKSUM, MOUNTED, MOUNTED + timedelta(hours=1))
    mute = Fault(OWN, FaultKind.SILENT, MOUNTED + timedelta(hours=1), MOUNTED + timedelta(hours=2))
    line = Line(device(faults=[bad, mute]))
    ask = request(bytes.fromhex("00000100"))
    spoilt = line.hears(ask)
    assert sum(spoilt[:-2]) % 256 != spoilt[-2]
    line.at += timedelta(hours=1)
    assert line.hears(ask) == b""
    assert not line.truth.shown
    assert [one.kind for one in line.truth.spoilt] == [FaultKind.BAD_CHECKSUM, FaultKind.SILENT]
    line.at += timedelta(hours=1)
    assert line.asks("00010000")


@given(st.binary(max_size=300))
def test_any_bytes_leave_the_line_able_to_answer(noise: bytes) -> None:
    line = Line(device())
    line.hears(noise)
    line.bus.idle(lambda: line.at)
    assert bcd(line.asks("00010000")) == 26
