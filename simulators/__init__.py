"""Simulated meters that tell afterwards what they really generated."""
