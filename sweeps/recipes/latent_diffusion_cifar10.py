"""Latent diffusion on CIFAR-10: captions such as "bright ship" to images, in the latents of an autoencoder.

    starling run sweeps/recipes/autoencoder_cifar10.py --data DIR --gpus-per-rank 1
    starling run sweeps/recipes/latent_diffusion_cifar10.py --data DIR --gpus-per-rank 1 --set autoencoder=X

X is the checkpoint folder of the first one's best trial, which it names at its end, as `starling best` does.
The U-Net, schedule and moving average are those of ddpm_cifar10.py, at 8x8 latents instead of 32x32 pixels.

Cost: not measured here: there was no GPU. 500 epochs are 176,000 steps.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="latent_diffusion",
    space={
        "lr": tune.loguniform(5e-5, 4e-4),
        "dropout": tune.uniform(0.0, 0.2),
        "guidance": tune.choice([0.0, 0.5, 1.0, 2.0]),
        "prediction": tune.choice(["eps", "v"]),
    },
    metric="fcd",
    mode="min",
    search="tpe",
    scheduler="asha:grace_period=2,reduction_factor=3",
    trials=9,
    max_iterations=20,
    fixed={
        "dataset": "cifar10", "condition": "text", "embedding": 128, "optimizer": "adam", "batch_size": 128,
        "epochs": 500, "report_every": 8800, "warmup_steps": 5000, "clip": 1.0, "ema_decay": 0.9999,
        "precision": "bf16", "width": 128, "multipliers": "1,2,2", "blocks": 2, "attention": 8,
        "noise_schedule": "cosine", "samples": 2000, "steps": 50,
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
