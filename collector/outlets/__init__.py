"""Writes deliveries so that no half file is ever seen."""
