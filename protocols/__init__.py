"""Protocols of meters, sans-io: requests to bytes, bytes to telegrams; no socket, no clock, no database."""
