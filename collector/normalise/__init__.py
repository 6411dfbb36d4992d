"""The one translator from wire to ledger."""
