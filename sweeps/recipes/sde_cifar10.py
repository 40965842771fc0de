"""EDM on CIFAR-10 at the field's size: Karras et al. 2022's preconditioning, levels and Heun sampler.

    starling run sweeps/recipes/sde_cifar10.py --data DIR --gpus-per-rank 1 --ranks 4

`path` and `prediction` edm are theirs (table 1); 18 steps of Heun are 35 passes of the network for an image.

Cost: not measured here: there was no GPU. 500 epochs are 44,000 steps of 512 images.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="sde",
    space={"lr": tune.loguniform(2e-4, 2e-3), "dropout": tune.uniform(0.0, 0.2)},
    metric="fcd",
    mode="min",
    search="tpe",
    scheduler="asha:grace_period=2,reduction_factor=3",
    trials=9,
    max_iterations=20,
    fixed={
        "dataset": "cifar10", "path": "edm", "prediction": "edm", "sampler": "heun", "steps": 18,
        "optimizer": "adam", "batch_size": 512, "epochs": 500, "report_every": 2200, "warmup_steps": 2000,
        "ema_decay": 0.999, "precision": "bf16", "width": 128, "multipliers": "1,2,2,2", "blocks": 2,
        "attention": 16, "samples": 2000, "likelihood_steps": 0,
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
