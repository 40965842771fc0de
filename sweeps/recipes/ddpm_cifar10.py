"""Class-conditional DDPM on CIFAR-10 at the field's size: 36 million weights, batch 128, EMA 0.9999, bf16.

    starling run sweeps/recipes/ddpm_cifar10.py --data DIR --gpus-per-rank 1 --ranks 4

The layout and learning rate of Ho et al. 2020 (appendix B), a cosine schedule of noise (Nichol & Dhariwal
2021), labels dropped for classifier-free guidance. Sweep its sampler afterwards with ddim.py and guidance.py
and `--set checkpoint=FOLDER`.

Cost: not measured here: there was no GPU. 500 epochs are 176,000 steps; the paper took 800,000.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="ddpm",
    space={
        "lr": tune.loguniform(5e-5, 4e-4),
        "dropout": tune.uniform(0.0, 0.2),
        "prediction": tune.choice(["eps", "v"]),
    },
    metric="fcd",
    mode="min",
    search="tpe",
    scheduler="asha:grace_period=2,reduction_factor=3",
    trials=9,
    max_iterations=20,
    fixed={
        "dataset": "cifar10", "conditional": True, "optimizer": "adam", "batch_size": 128, "epochs": 500,
        "report_every": 8800, "warmup_steps": 5000, "clip": 1.0, "ema_decay": 0.9999, "precision": "bf16",
        "width": 128, "multipliers": "1,2,2,2", "blocks": 2, "attention": 16, "noise_schedule": "cosine",
        "samples": 2000, "steps": 50,
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
