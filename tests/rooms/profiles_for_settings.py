"""Small profiles of the three families, for tests that need a name to refer to and not a meter."""

from protocols.profile import Profile

_REGISTERS = {
    "modbus": [{"id": "0", "quantity": "1-0:1.8.0", "type": "uint32"}],
    "dlt645": [
        {"id": "00010000", "quantity": "1-0:1.8.0", "type": "XXXXXX.XX"},
        {"id": "05060101", "quantity": "1-0:1.8.0", "basis": "freeze", "type": "XXXXXX.XX"},
    ],
    "mqtt-json": [{"id": "values", "quantity": "1-0:1.8.0", "type": "decimal"}],
}


def profile(name: str, protocol: str, phases: int) -> Profile:
    """A profile that can give import energy."""
    data = {
        "id": name,
        "protocol": protocol,
        "maker": "test",
        "models": ["test"],
        "phases": phases,
        "sources": ["made up for this test"],
        "register": _REGISTERS[protocol],
    }
    if protocol == "modbus":
        data["modbus"] = {"function": 4, "word_order": "ABCD", "max_registers": 100}
    if protocol == "mqtt-json":
        data["json"] = {"topic": "meters/<address>/reading", "time": "time"}
    return Profile.model_validate(data)


PROFILES = {
    one.id: one
    for one in (
        profile("three_phase_modbus", "modbus", 3),
        profile("single_phase_modbus", "modbus", 1),
        profile("three_phase_dlt645", "dlt645", 3),
        profile("single_phase_json", "mqtt-json", 1),
    )
}
