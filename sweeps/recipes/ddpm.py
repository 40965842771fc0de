"""DDPM on digits: how noise grows, what is predicted, and how fast to learn, judged by the images drawn.

    starling run sweeps/recipes/ddpm.py

`fcd` is the Frechet distance of 250 drawn images from 500 real ones on features of a classifier that the
first trial trains (seconds; kept in STARLING_CACHE); as many real ones reach `fcd_floor`, 2.4. Each trial's
checkpoint has a PNG of what it draws. ddim.py then sweeps the sampler alone.

Cost: 64 s for the 6 trials on 2 CPU cores (measured, one run, 2026-11-28); the classifier, where it is yet to
be trained, is seconds more. `fcd` falls from 100 after one step to 29 after 41 and 14 in the best trial's 122
steps. With `--set epochs=30 --set report_every=200` it came to 6.1.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="ddpm",
    space={
        "noise_schedule": tune.choice(["linear", "cosine"]),
        "prediction": tune.choice(["eps", "x0", "v"]),
        "lr": tune.loguniform(1e-3, 1e-2),
        "dropout": tune.uniform(0.0, 0.2),
    },
    metric="fcd",
    mode="min",
    search="tpe",
    scheduler="asha:grace_period=1,reduction_factor=3",
    trials=6,
    max_iterations=3,
    fixed={
        "dataset": "digits", "optimizer": "adamw", "batch_size": 64, "ema_decay": 0.98, "warmup_steps": 20,
        "epochs": 6, "report_every": 41, "samples": 250, "steps": 20,
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
