"""Judges: rules over series, verdicts beside readings."""
