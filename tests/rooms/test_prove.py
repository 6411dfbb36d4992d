"""A profile reads its own frames, or is told where it does not; every complaint is seen once."""

from zoneinfo import ZoneInfo

import pytest

from collector.jobs.prove import Flaw, prove
from protocols.profile import Profile, builtin_profiles

ZONE = ZoneInfo("Asia/Shanghai")
PROFILES = builtin_profiles()


@pytest.mark.parametrize("name", list(PROFILES))
def test_profiles_that_come_along_hold(name: str) -> None:
    assert PROFILES[name].vector
    assert prove(PROFILES[name], ZONE) == ()


def changed(name: str, number: int, **keys: object) -> Profile:
    """A built-in profile with one vector said otherwise."""
    profile = PROFILES[name]
    vectors = list(profile.vector)
    vectors[number] = type(vectors[number]).model_validate(vectors[number].model_dump(mode="json") | keys)
    return profile.model_copy(update={"vector": tuple(vectors)})


def register(name: str, number: int, **keys: object) -> Profile:
    """A built-in profile with one register said otherwise, and unchecked, as far as its own schema goes."""
    profile = PROFILES[name]
    registers = list(profile.registers)
    registers[number] = registers[number].model_copy(update=keys)
    return profile.model_copy(update={"register_": tuple(registers)})


def reading(value: str | None, quantity: str = "1-0:32.7.0", **keys: object) -> list[dict[str, object]]:
    return [{"quantity": quantity, "value": value, **keys}]


BOTH = [*reading("5", "1-0:1.8.0"), *reading("5", "1-0:2.8.0")]
TOLD = [
    (changed("eastron_sdm120", 0, readings=reading("230.01")), "1-0:32.7.0 (instant) is 230.00, the vector says 230.01"),
    (changed("eastron_sdm120", 0, readings=reading(None)), "is 230.00, and the vector says it is none"),
    (changed("eastron_sdm120", 0, readings=reading("50", "1-0:14.7.0")), "and the vector's request is another"),
    (changed("eastron_sdm120", 0, request=(), readings=BOTH), ": wrong_length"),
    (changed("eastron_sdm120", 0, readings=reading("1", "1-0:1.8.1")), "there are more frames than these readings need"),
    (changed("eastron_sdm120", 0, answer="010404436600000e1e"), "the answer is no good frame: bad_checksum"),
    (changed("eastron_sdm120", 0, answer="01"), "the answer is no "),
    (changed("eastron_sdm120", 0, answer="0x01"), "non-hexadecimal number"),
    (changed("eastron_sdm120", 0, answer=["010404436600000e1f"] * 2), "there are more frames than these readings need"),
    (changed("eastron_sdm120", 0, protocol="dlt645"), "'dlt645' is no protocol by which eastron_sdm120 is read"),
    (changed("eastron_sdm120", 0, readings=[*reading("230"), *reading("1", "1-0:15.8.0")], request=()), "there is no answer to"),
    (changed("dlt645_2007_1p", 3, readings=reading("1.5")), "gives wrong_length, the vector says 1.5"),
    (changed("dlt645_2007_1p", 3, readings=reading(None, reason="bad_digits")), "is none for the reason wrong_length"),
    (changed("json_meter", 0, readings=reading("123.45", "1-0:1.8.0", time="2026-03-14T00:30+08:00")), "is of 2026-03-13T16:15"),
    (changed("json_meter", 0, answer="7b7d"), "no time at byte 0 of 7b 7d"),
    (register("eastron_sdm120", 0, id="0x0000"), "'0x0000' is no wire address for float32"),
    (register("eastron_sdm120", 0, type="u32"), "'u32' is no Modbus type"),
    (register("eastron_sdm120", 0, invalid=("ffff",)), "is no pattern in hex as long as float32"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "says"), TOLD, ids=lambda case: case if isinstance(case, str) else case.id)
def test_what_does_not_hold_is_told(profile: Profile, says: str) -> None:
    found = prove(profile, ZONE)
    assert len(found) == 1, found
    assert says in found[0].says


def test_the_place_is_a_path_into_the_file() -> None:
    assert prove(changed("eastron_sdm120", 1, readings=reading("1")), ZONE) == (
        Flaw(("vector", 1, "readings"), "1-0:32.7.0 (instant) is 230.00, the vector says 1"),
    )
    assert prove(register("eastron_sdm120", 2, type="float16"), ZONE)[0].place == ("register", 2)


def test_an_identity_that_cannot_be_read_is_told() -> None:
    profile = PROFILES["eastron_sdm120"]
    assert profile.identity is not None
    wrong = profile.model_copy(update={"identity": profile.identity.model_copy(update={"type": "serial"})})
    (flaw,) = prove(wrong, ZONE)
    assert flaw.place == ("identity",)
    assert "'serial' is no Modbus type" in flaw.says
