"""Modbus RTU and TCP, functions 1-4: our own sans-io codec."""
