"""RealNVP on digits: the sweep of nice.py, whose layers here also stretch; judged in bits per pixel.

    starling run sweeps/recipes/realnvp.py

`val_bits_per_dim` is held against the gates 4.09, 2.93 and 2.43 that nice.py explains.

Cost: 43 s on 2 CPU cores (measured, one run, 2026-11-27). The best of 8 trials came to 2.30.
"""

from sweeps.recipes.nice import sweep as nice

sweep = nice.override(trainable="realnvp")

if __name__ == "__main__":
    sweep.main()
