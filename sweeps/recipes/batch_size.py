"""How large a batch? Throughput against epochs to a target, for steps of 16 to 512 digits.

    starling run sweeps/recipes/batch_size.py --name batch-size
    python -m docs.batch_size results/batch-size        its table and picture, as in docs/diagnosis.md

Larger batches give more images a second and need more epochs; each gets the learning rate that suits it best
of three. Sixteen passes of 16 are one step of 256: the same training at the speed of 16. Those that
accumulate measure the gradient noise scale, above which a larger step gains little.

Cost: 1 min 3 s for the 24 trials on 2 CPU cores (measured, one run, 2026-11-28).
"""

from ray import tune

from search_algs.space import when
from sweeps import Sweep

sweep = Sweep(
    trainable="classify",
    space={
        "batch_size": tune.choice([16, 32, 64, 128, 256, 512]),
        "accumulate": when("batch_size", 16, tune.choice([1, 4, 16])),
        "noise_steps": when("accumulate", [4, 16], tune.choice([4])),
        "lr": tune.choice([0.03, 0.1, 0.3]),
    },
    metric="val_accuracy",
    mode="max",
    search="grid",
    stop_on="diverged",
    fixed={"dataset": "digits", "model": "conv", "width": 16, "optimizer": "momentum", "epochs": 12},
)

if __name__ == "__main__":
    sweep.main()
