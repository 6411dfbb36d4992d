"""The PyPI package dlt645 as a meter over TCP, for tests: `server.py '{"address": "000000001234", "energy": {"00010000": 1.5}}'`.

Prints its port on one line and serves until its standard input ends. `address` as people write it; the package wants the
order of the wire, low byte first.
"""

import json
import os
import sys

from dlt645 import MeterServerService  # type: ignore[import-not-found]


def main() -> None:
    """`energy` and `variable`: values by data identifier; `parameter`: texts by data identifier; `password`: level and digits."""
    given = json.loads(sys.argv[1])
    meter = MeterServerService.new_tcp_server("127.0.0.1", 0, 30.0)
    assert meter.set_address(bytes.fromhex(given["address"])[::-1])
    for identifier, value in given.get("energy", {}).items():
        assert meter.set_00(int(identifier, 16), value), identifier
    for identifier, value in given.get("variable", {}).items():
        assert meter.set_02(int(identifier, 16), value), identifier
    for identifier, value in given.get("parameter", {}).items():
        assert meter.set_04(int(identifier, 16), value), identifier
    if "password" in given:
        assert meter.set_password(given["password"])
    assert meter.server.start()
    sys.stdout.write(f"{meter.server.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # its threads wait for each other for half a second


main()
