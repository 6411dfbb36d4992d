"""A pyModbusTCP server for tests, run by that package's own Python: `server.py '{"input": {"0": [1, 2]}, …}'`.

Prints its port on one line and serves until its standard input ends, so that it never outlives the test.
"""

import json
import os
import sys

from pyModbusTCP.server import DataBank, DeviceIdentification, ModbusServer  # type: ignore[import-not-found]


def main() -> None:
    """Registers from the first argument: tables `holding` and `input` by first wire address; `identity` three texts."""
    given = json.loads(sys.argv[1])
    size = int(given.get("size", 0x10000))
    bank = DataBank(h_regs_size=size, i_regs_size=size)
    for first, words in given.get("holding", {}).items():
        assert bank.set_holding_registers(int(first), words)
    for first, words in given.get("input", {}).items():
        assert bank.set_input_registers(int(first), words)
    texts = [text.encode() for text in given.get("identity", [])]
    device = DeviceIdentification(*texts) if texts else None
    server = ModbusServer("127.0.0.1", 0, no_block=True, data_bank=bank, device_id=device)
    server.start()
    sys.stdout.write(f"{server._service.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # its threads wait for each other for half a second


main()
