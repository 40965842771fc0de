"""The first sweep: 24 small convolutional networks on scikit-learn's digits, two DDP ranks each.

    starling run sweeps/recipes/quickstart.py
    python sweeps/recipes/quickstart.py --trials 8 --search sobol

Cost: half a minute on 2 quiet CPU cores (measured; under 3 minutes on busy ones), 1 GiB of memory; no
download, no GPU. The best trial reaches 0.99 of the held-out images; ASHA ends 15 of the 24 trials after 1 or
3 of the 9 epochs.
"""

from ray import tune

from search_algs.space import when
from sweeps import Sweep

sweep = Sweep(
    trainable="classify",
    space={
        "lr": tune.loguniform(1e-3, 1.0),
        "optimizer": tune.choice(["sgd", "adam"]),
        "momentum": when("optimizer", "sgd", tune.uniform(0.0, 0.99)),  # Adam has its own
        "weight_decay": tune.loguniform(1e-6, 1e-2),
        "batch_size": tune.choice([32, 64, 128]),
        "width": tune.choice([8, 16, 32]),
    },
    metric="val_accuracy",
    mode="max",
    search="tpe",
    scheduler="asha:grace_period=1,reduction_factor=3",
    trials=24,
    max_iterations=9,
    ranks=2,
    fixed={"dataset": "digits", "model": "conv", "epochs": 9},
)

if __name__ == "__main__":
    sweep.main()
