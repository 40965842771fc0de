"""The arena: search algorithms against one another, in simulated parallel time.

`python -m benchmarks.arena SUITE` plays (what is done is not played again), `--table` prints the Markdown
table, `--plot FILE` draws the curves. `suites.py` says what is played.
"""
