"""VQ-VAE on CIFAR-10 at the field's size: 8x8 numbers of a codebook of 512 an image, 256 channels.

    starling run sweeps/recipes/vqvae_cifar10.py --data DIR --gpus-per-rank 1 --ranks 4

Layout, optimiser and batch of van den Oord et al. 2017 (section 4: two strided convolutions, two residual
blocks, Adam 2e-4, batches of 128), with codes as moving averages (their appendix A.1, decay 0.99).

Cost: not measured here: there was no GPU. 250 epochs are 88,000 steps; the paper took 250,000.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="vqvae",
    space={
        "lr": tune.loguniform(1e-4, 1e-3),
        "beta": tune.loguniform(0.1, 2.0),
        "codes": tune.choice([256, 512, 1024]),
        "dim": tune.choice([16, 32, 64]),
    },
    metric="val_psnr",
    mode="max",
    search="tpe",
    scheduler="asha:grace_period=2,reduction_factor=3",
    trials=12,
    max_iterations=20,
    fixed={
        "dataset": "cifar10", "width": 256, "halvings": 2, "blocks": 2, "codebook": "ema", "decay": 0.99,
        "optimizer": "adam", "batch_size": 128, "epochs": 250, "report_every": 4400, "precision": "bf16",
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
