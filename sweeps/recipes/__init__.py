"""Sweeps to run and to copy, each with its cost: `starling run sweeps/recipes/quickstart.py`, or the file."""
