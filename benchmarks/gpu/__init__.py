"""What the engine does on a GPU, measured: `python -m benchmarks.gpu`; docs/gpu.md has the tables."""
