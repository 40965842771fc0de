"""Flow matching on CIFAR-10 at the field's size: 36 million weights, batch 128, EMA 0.9999, bf16.

    starling run sweeps/recipes/flow_matching_cifar10.py --data DIR --gpus-per-rank 1 --ranks 4

A learning rate of 2e-4, 128 images a step and 128 channels are what TorchCFM trains CIFAR-10 with (Tong et
al. 2023, arXiv:2302.00482), for 400,000 steps. Gates of models without learning in `test_bits_per_dim`: 8
(all levels alike), 7.88 (a histogram of each pixel), 3.70 (one Gaussian with a full covariance).

Cost: not measured here: there was no GPU. 500 epochs are 176,000 steps of 128 images.
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="flow_matching",
    space={
        "lr": tune.loguniform(5e-5, 8e-4),
        "dropout": tune.uniform(0.0, 0.2),
        "prediction": tune.choice(["flow", "v"]),
    },
    metric="fcd",
    mode="min",
    search="tpe",
    scheduler="asha:grace_period=2,reduction_factor=3",
    trials=9,
    max_iterations=20,
    fixed={
        "dataset": "cifar10", "sampler": "heun", "steps": 50, "optimizer": "adam", "batch_size": 128,
        "epochs": 500, "report_every": 8800, "warmup_steps": 5000, "clip": 1.0, "ema_decay": 0.9999,
        "precision": "bf16", "width": 128, "multipliers": "1,2,2,2", "blocks": 2, "attention": 16,
        "samples": 2000, "likelihood_steps": 100,
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
