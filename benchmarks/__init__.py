"""Benchmarks: Starling beside what a user would pick instead, as ratios from one run (`make bench`)."""
