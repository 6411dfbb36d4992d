"""The ledger: its port, and the SQL adapter."""
