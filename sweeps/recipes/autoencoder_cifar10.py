"""An autoencoder of CIFAR-10 for latent_diffusion_cifar10.py: 8x8 latents of 4 numbers, 12 times fewer.

    starling run sweeps/recipes/autoencoder_cifar10.py --data DIR --gpus-per-rank 1

Four times fewer pixels a side and a divergence of hardly any weight, as Rombach et al. 2022 have it (f = 4,
section 4.1), without their discriminator and perceptual loss. `starling best` names the trial's checkpoint.

Cost: not measured here: there was no GPU. 100 epochs are 35,000 steps of 128 images.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="autoencoder",
    space={"lr": tune.loguniform(1e-4, 2e-3), "kl": tune.loguniform(1e-6, 1e-3)},
    metric="psnr",
    mode="max",
    search="tpe",
    scheduler="asha:grace_period=2,reduction_factor=3",
    trials=6,
    max_iterations=10,
    fixed={
        "dataset": "cifar10", "width": 64, "halvings": 2, "latent_channels": 4, "optimizer": "adamw",
        "batch_size": 128, "epochs": 100, "report_every": 3520, "warmup_steps": 500, "clip": 1.0,
        "ema_decay": 0.999, "precision": "bf16",
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
