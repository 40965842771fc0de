"""Eight update rules on CIFAR-10 at equal budget: a grid of nine learning rates and two seeds for each.

    starling run sweeps/recipes/optimisers_cifar10.py --data DIR

144 trials of the documents' SimpleCNN, one epoch each with a report every third of it; momentum and moments
at their usual values, Langevin noise at temperature 1. Longer: `--set epochs=9`; with Schedule-Free AdamW and
Prodigy: add their names to `rules` (extra `optimizers`).

Cost: an epoch of 45,000 images takes 8 CPU seconds (6,000 images a second measured, benchmarks/README.md), so
about 20 minutes of one core in all.
"""

from ray import tune

from sweeps import Sweep

rules = ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "langevin", "psgld"]
sweep = Sweep(
    trainable="classify",
    space={
        "optimizer": tune.choice(rules),
        "lr": tune.choice([1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0]),
        "seed": tune.choice([0, 1]),
    },
    metric="val_accuracy",
    mode="max",
    search="grid",
    fixed={
        "dataset": "cifar10",
        "model": "simple_cnn",
        "batch_size": 100,
        "epochs": 1,
        "report_every": 150,
    },
)

if __name__ == "__main__":
    sweep.main()
