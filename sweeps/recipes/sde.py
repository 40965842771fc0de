"""Score-based SDEs on digits: paths from data to noise, how the ODE or the SDE is solved, exact likelihoods.

    starling run sweeps/recipes/sde.py

`fcd` as in ddpm.py; the last report of a trial that trains to its end has `test_bits_per_dim`, by the
probability-flow ODE. Models without learning: 2.43 (a histogram of each pixel), 2.94 (a Gaussian), 4.09
(uniform).

Cost: 87 s for the 6 trials on 2 CPU cores (measured, one run, 2026-11-28). `fcd` falls from 67 after one step
of training to 17 in the best trial's 122 steps; real images have 2.4.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="sde",
    space={
        "path": tune.choice(["vp", "subvp", "ve", "cosine", "edm"]),
        "sampler": tune.choice(["heun", "sde"]),
        "lr": tune.loguniform(1e-3, 1e-2),
    },
    metric="fcd",
    mode="min",
    search="tpe",
    scheduler="asha:grace_period=1,reduction_factor=3",
    trials=6,
    max_iterations=3,
    fixed={
        "dataset": "digits", "prediction": "edm", "optimizer": "adamw", "batch_size": 64, "ema_decay": 0.98,
        "warmup_steps": 20, "epochs": 6, "report_every": 41, "samples": 250, "steps": 12,
        "likelihood_steps": 20,
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
