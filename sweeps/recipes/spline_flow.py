"""Neural spline flows on digits: pixels from all before them or by halves, how fine; in bits per pixel.

    starling run sweeps/recipes/spline_flow.py

Needs zuko: `pip install 'starling-sweeps[zuko]'`. `val_bits_per_dim`, and the gates 4.09, 2.93 and 2.43, as
in nice.py. With `coupling` images are drawn in two passes a layer instead of 64.

Cost: 41 s on 2 CPU cores (measured, one run, 2026-11-27). The best of 8 trials came to 2.22.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="spline_flow",
    space={
        "coupling": tune.choice([False, True]),
        "bins": tune.choice([4, 8, 16]),
        "weight_decay": tune.loguniform(1e-3, 1.0),
        "lr": tune.loguniform(1e-3, 6e-3),
    },
    metric="val_bits_per_dim",
    mode="min",
    search="tpe",
    scheduler="asha:grace_period=1,reduction_factor=3",
    trials=8,
    max_iterations=3,
    fixed={
        "dataset": "digits", "optimizer": "adamw", "batch_size": 64, "ema_decay": 0.98, "epochs": 9,
        "report_every": 61, "layers": 2, "width": 128, "samples": 0,
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
