"""Eight update rules on CIFAR-10, each over its own conditional space, at equal budget and with two seeds.

    starling run sweeps/recipes/optimisers_cifar10.py --data DIR --name optimisers

A grid of 256 trials, 32 a rule: eight learning rates, two values of what is the rule's own (weight decay,
momentum, the second moment's decay, the temperature), two seeds. Each trains the documents' SimpleCNN for one
epoch, with a report every third of it. Longer: `--set epochs=9`; other networks: `--set model=resnet` or
`mlp`; with Schedule-Free AdamW and Prodigy: add their names to `rules` (extra `optimizers`).

Cost: 76 minutes on 2 CPU cores that had ten times as much other work (measured, one run, 2026-11-27); a trial
took 9 s at least, 22 in the middle, so about half an hour on idle ones. It can be ended with Ctrl-C and
resumed. docs/optimisers.md has what came out.
"""

from ray import tune

from search_algs.space import when
from sweeps import Sweep

rules = ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "langevin", "psgld"]
sweep = Sweep(
    trainable="classify",
    space={
        "optimizer": tune.choice(rules),
        "lr": tune.choice([3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0]),
        "weight_decay": when("optimizer", ["sgd", "adamw"], tune.choice([5e-4, 5e-2])),
        "momentum": when("optimizer", ["momentum", "nesterov"], tune.choice([0.9, 0.98])),
        "beta2": when("optimizer", ["rmsprop", "adam"], tune.choice([0.99, 0.999])),
        "temperature": when("optimizer", ["langevin", "psgld"], tune.choice([0.1, 1.0])),
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
