"""Selects and numbers what billing may have."""
