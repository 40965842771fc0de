"""A sweep running on Ray Tune: where trials come from, who judges them, and the one place all events pass.

Ray's private names stay in here.
"""
