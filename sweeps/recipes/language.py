"""A language model of characters on 43,000 characters of English that scikit-learn ships.

    starling run sweeps/recipes/language.py          --set data=my-text.txt takes a text of yours

Cost: 10 CPU seconds for a fully trained trial of embedding 32, which came to 3.59 bits a character where
pairs of characters give 3.92 (measured, 2026-11-26); ASHA ends two thirds of the 12 trials after a ninth of
that.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="language",
    space={
        "lr": tune.loguniform(3e-4, 3e-2),
        "embedding": tune.choice([16, 32, 64]),
        "heads": tune.choice([2, 4]),
        "depth": tune.randint(1, 4),
        "dropout": tune.uniform(0.0, 0.3),
        "weight_decay": tune.loguniform(1e-4, 1.0),
        "beta2": tune.choice([0.95, 0.99, 0.999]),
    },
    metric="val_bpc",
    mode="min",
    search="tpe",
    scheduler="asha:grace_period=1,reduction_factor=3",
    trials=12,
    max_iterations=9,
    ranks=2,
    fixed={"optimizer": "adamw", "length": 32, "epochs": 1, "report_every": 17, "clip": 1.0},
)

if __name__ == "__main__":
    sweep.main()
