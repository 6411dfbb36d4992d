"""The corridor: reads the ledger, calls one room, appends."""
