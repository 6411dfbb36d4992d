"""The ledger: what was read, kept for good."""
