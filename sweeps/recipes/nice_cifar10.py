"""NICE on CIFAR-10 at the field's size: linear layers of 2,000 units, four additive layers, logistic noise.

    starling run sweeps/recipes/nice_cifar10.py --data DIR --gpus-per-rank 1

The sizes of Dinh et al. 2014 (arXiv:1410.8516), whose images were whitened, which these are not. Gates of
models without learning in `test_bits_per_dim`: 8 (all levels alike), 7.88 (a histogram of each pixel), 3.70
(one Gaussian with a full covariance).

Cost: not measured here: there was no GPU. 200 epochs are 70,000 steps of 128 images.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="nice",
    space={
        "lr": tune.loguniform(1e-4, 2e-3),
        "dropout": tune.uniform(0.0, 0.2),
        "weight_decay": tune.loguniform(1e-5, 1e-2),
    },
    metric="val_bits_per_dim",
    mode="min",
    search="tpe",
    scheduler="asha:grace_period=2,reduction_factor=3",
    trials=9,
    max_iterations=20,
    fixed={
        "dataset": "cifar10", "net": "perceptron", "layers": 4, "width": 2000, "depth": 4,
        "prior": "logistic", "optimizer": "adamw", "batch_size": 128, "epochs": 200, "report_every": 3520,
        "warmup_steps": 1000, "clip": 1.0, "ema_decay": 0.999, "samples": 2000,
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
