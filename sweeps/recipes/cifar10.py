"""CIFAR-10: a small CNN against a small ResNet, over five optimisers.

    starling run sweeps/recipes/cifar10.py --data DIR --trials 32 --search tpe --scheduler asha --ranks 2
    python sweeps/recipes/cifar10.py --trials 8

DIR holds the Parquet files of the data set (default: the environment variable STARLING_DATA); `starling data
cifar10 --from cifar-10-python.tar.gz` makes them from the official archive.

Cost: one to two hours on 2 CPU cores, less than 2 GiB of memory. Measured there, with 2 ranks: an epoch takes
4 to 10 s with SimpleCNN, 17 to 27 s with the ResNet of width 8 and depth 1, 73 to 150 s with width 16 and
depth 2; decoding the JPEG files 15 s once. ASHA ends about two of three trials at 1 and at 3 of the 9 epochs,
so that 32 trials are about 100 epochs.
"""

from ray import tune

from search_algs.space import when
from sweeps import Sweep

sweep = Sweep(
    trainable="classify",
    space={
        "model": tune.choice(["simple_cnn", "resnet"]),
        "width": when("model", "resnet", tune.choice([8, 16])),
        "depth": when("model", "resnet", tune.choice([1, 2])),
        "optimizer": tune.choice(["sgd", "momentum", "adam", "adamw", "langevin"]),
        "lr": tune.loguniform(1e-4, 0.5),
        "momentum": when("optimizer", "momentum", tune.uniform(0.5, 0.99)),
        "temperature": when("optimizer", "langevin", tune.loguniform(1e-2, 1.0)),
        "weight_decay": tune.loguniform(1e-6, 1e-2),
        "batch_size": tune.choice([64, 128, 256]),
        "dropout": tune.uniform(0.0, 0.5),
    },
    metric="val_accuracy",
    mode="max",
    search="tpe",
    scheduler="asha:grace_period=1,reduction_factor=3",
    trials=32,
    max_iterations=9,
    ranks=2,
    fixed={"dataset": "cifar10", "crop": 4, "flip": True, "epochs": 9},
)

if __name__ == "__main__":
    sweep.main()
