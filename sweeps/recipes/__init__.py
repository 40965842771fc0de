"""Sweeps to run and to copy; each says what it costs. `starling run sweeps/recipes/quickstart.py`, or the
file itself."""
