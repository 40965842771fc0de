"""RealNVP on CIFAR-10 at the field's size: residual networks of 64 channels and 8 blocks, normal noise.

    starling run sweeps/recipes/realnvp_cifar10.py --data DIR --gpus-per-rank 1 --ranks 4

The networks' sizes of Dinh et al. 2016 (arXiv:1605.08803), who also halve images in between and normalise
batches; here all layers see the images' own size. Gates of models without learning: 8 (all levels alike),
7.88 (a histogram of each pixel), 3.70 (one Gaussian with a full covariance).

Cost: not measured here: there was no GPU. 200 epochs are 141,000 steps of 64 images.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="realnvp",
    space={
        "lr": tune.loguniform(2e-4, 2e-3),
        "weight_decay": tune.loguniform(1e-6, 1e-3),
        "layers": tune.choice([8, 12]),
    },
    metric="val_bits_per_dim",
    mode="min",
    search="tpe",
    scheduler="asha:grace_period=2,reduction_factor=3",
    trials=9,
    max_iterations=20,
    fixed={
        "dataset": "cifar10", "net": "convolutional", "width": 64, "depth": 8, "prior": "normal",
        "optimizer": "adamw", "batch_size": 64, "epochs": 200, "report_every": 7040, "warmup_steps": 2000,
        "clip": 1.0, "ema_decay": 0.999, "precision": "bf16", "samples": 2000,
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
