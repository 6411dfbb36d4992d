"""Our codec and pymodbus's say the same of every question, answer and refusal, in both framings and both directions.

pymodbus serves the simulated meters, ours reads them: a mistake that both share would be seen here by neither, but no
mistake can be in one alone.
"""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadCoilsResponse,
    ReadDiscreteInputsRequest,
    ReadDiscreteInputsResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
)

from protocols.dialect import Decoded
from protocols.dialects import DIALECTS
from protocols.errors import Refused
from protocols.modbus import rtu, tcp
from protocols.modbus.pdu import MAX_COUNT, Answer, Question, Refusal, encode_answer, encode_question
from protocols.telegram import Garbage, Request, Session, Telegram

QUESTIONS = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
BITS = {1: ReadCoilsResponse, 2: ReadDiscreteInputsResponse}
REGISTERS = {3: ReadHoldingRegistersResponse, 4: ReadInputRegistersResponse}

framings = pytest.mark.parametrize("name", ["modbus-tcp", "modbus-rtu"])
units = st.integers(1, 247)


@st.composite
def questions(draw: st.DrawFn, functions: tuple[int, ...] = (1, 2, 3, 4)) -> Question:
    function = draw(st.sampled_from(functions))
    count = draw(st.integers(1, MAX_COUNT[function]))
    return Question(function, draw(st.integers(0, 0x10000 - count)), count)


def theirs(name: str, *, server: bool) -> FramerRTU | FramerSocket:
    return (FramerRTU if name == "modbus-rtu" else FramerSocket)(DecodePDU(server))


def ours(name: str, transaction: int, unit: int, pdu: bytes) -> bytes:
    return rtu.encode_frame(unit, pdu) if name == "modbus-rtu" else tcp.encode_frame(transaction, unit, pdu)


def asked(name: str, unit: int, question: Question) -> tuple[Session, bytes]:
    """A session that waits for the answer; over TCP in transaction 1."""
    session = DIALECTS[name].session()
    return session, session.send(Request(str(unit), question.function, str(question.start), question.count))


def read_by_them(name: str, frame: bytes, *, server: bool) -> ModbusPDU:
    used, pdu = theirs(name, server=server).handleFrame(frame, 0, 0)
    assert used == len(frame)
    assert pdu is not None
    return pdu


def read_by_us(session: Session, frame: bytes) -> Telegram | Garbage:
    session.receive(frame)
    event = session.next_event()
    assert isinstance(event, Telegram | Garbage)
    return event


def dumped(name: str, *frames: bytes) -> Decoded:
    """What `decode` makes of the last of these frames."""
    found = DIALECTS[name].decode(b"".join(frames))
    assert len(found) == len(frames)
    return found[-1]


@framings
@given(unit=units, question=questions())
def test_questions(name: str, unit: int, question: Question) -> None:
    pdu = QUESTIONS[question.function](dev_id=unit, transaction_id=1, address=question.start, count=question.count)
    frame = theirs(name, server=False).buildFrame(pdu)
    assert asked(name, unit, question)[1] == frame
    read = read_by_them(name, frame, server=True)
    assert Question(read.function_code, read.address, read.count) == question
    assert read.dev_id == unit
    decoded = dumped(name, frame)
    assert isinstance(decoded.event, Telegram)
    assert decoded.direction == "request"
    assert decoded.event.address == str(unit)
    assert decoded.event.detail == {"id": str(question.start), "count": str(question.count)}


@framings
@given(unit=units, question=questions((3, 4)), data=st.data())
def test_registers(name: str, unit: int, question: Question, data: st.DataObject) -> None:
    words = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=question.count, max_size=question.count))
    pdu = REGISTERS[question.function](dev_id=unit, transaction_id=1, registers=words)
    frame = theirs(name, server=True).buildFrame(pdu)
    session, request = asked(name, unit, question)
    event = read_by_us(session, frame)
    assert isinstance(event, Telegram)
    assert event.payload == b"".join(word.to_bytes(2, "big") for word in words)
    assert ours(name, 1, unit, encode_answer(Answer(question.function, event.payload))) == frame
    assert read_by_them(name, frame, server=False).registers == words
    decoded = dumped(name, request, frame)
    assert decoded.direction == "answer"
    assert [(item.id, item.value) for item in decoded.items] == [
        (str(question.start + place), Decimal(word)) for place, word in enumerate(words)
    ]


@framings
@given(unit=units, question=questions((1, 2)), data=st.data())
def test_bits(name: str, unit: int, question: Question, data: st.DataObject) -> None:
    states = data.draw(st.lists(st.booleans(), min_size=question.count, max_size=question.count))
    pdu = BITS[question.function](dev_id=unit, transaction_id=1, bits=states)
    frame = theirs(name, server=True).buildFrame(pdu)
    session, request = asked(name, unit, question)
    event = read_by_us(session, frame)
    assert isinstance(event, Telegram)
    assert ours(name, 1, unit, encode_answer(Answer(question.function, event.payload))) == frame
    assert read_by_them(name, frame, server=False).bits[: question.count] == states
    decoded = dumped(name, request, frame)
    assert [bool(item.value) for item in decoded.items][: question.count] == states


@framings
@given(unit=units, question=questions(), code=st.integers(0, 255))
def test_refusals(name: str, unit: int, question: Question, code: int) -> None:
    pdu = ExceptionResponse(question.function, code, device_id=unit, transaction=1)
    frame = theirs(name, server=True).buildFrame(pdu)
    assert ours(name, 1, unit, encode_answer(Refusal(question.function, code))) == frame
    read = read_by_them(name, frame, server=False)
    assert isinstance(read, ExceptionResponse)
    assert (read.function_code, read.exception_code) == (question.function | 0x80, code)
    event = read_by_us(asked(name, unit, question)[0], frame)
    assert isinstance(event, Garbage)
    assert isinstance(event.error, Refused)
    assert event.data == frame
    again = dumped(name, frame).event
    assert isinstance(again, Telegram)
    assert again.detail == {"refused": event.error.code}


@given(st.binary(max_size=300))
def test_checksums(data: bytes) -> None:
    """pymodbus states it with its bytes as they go on the wire."""
    assert rtu.checksum(data).to_bytes(2, "little") == FramerRTU.compute_CRC(data).to_bytes(2, "big")


def test_what_they_take_and_we_refuse() -> None:
    """The reason for a codec of our own: pymodbus takes one register for two, and function 4 for 3, as success."""
    question = Question(3, 0, 2)
    short = ours("modbus-tcp", 1, 1, bytes.fromhex("03021234"))
    other = ours("modbus-tcp", 1, 1, bytes.fromhex("040412345678"))
    for frame, code in ((short, "wrong_length"), (other, "wrong_function")):
        assert not read_by_them("modbus-tcp", frame, server=False).isError()
        event = read_by_us(asked("modbus-tcp", 1, question)[0], frame)
        assert isinstance(event, Garbage)
        assert event.error.code == code
    assert encode_question(question) == bytes.fromhex("0300000002")
