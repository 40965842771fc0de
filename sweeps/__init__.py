"""The only wiring: a sweep's file, its run on Ray Tune, its memory and its results."""
