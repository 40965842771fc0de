"""DDPM with the documents' configuration, on CIFAR-10: batch 16, lr 1e-4, 100,000 steps, accumulation 1, EMA
0.995 every 16 steps, betas 0.9 and 0.99, cosine schedule with T_max 10,000.

    starling run sweeps/recipes/ddpm_documents.py --data DIR --gpus-per-rank 1

Three traps are in it. PyTorch's cosine schedule with T_max 10,000 goes up again and is back at its peak at
step 20,000, and so at step 100,000; here it reaches 0 at `t_max` and stays there (a warning says so), so that
90,000 of the steps learn nothing: the second trial fits it to the run. An EMA of 0.995 every 16 steps has a
half-life of 2,213 steps, and remembers the random first weights for many of them; ours warms up, with decay
min(0.995, (1 + n) / (10 + n)) at its n-th update. And a batch of 16 leaves a GPU idle: ddpm_cifar10.py has
128.

Cost: not measured here: there was no GPU. 100,000 steps of batch 16 are 36 epochs. DIR is the folder that
`starling data cifar10` made (default: STARLING_DATA).
"""

from ray import tune

from sweeps import Sweep

sweep = Sweep(
    trainable="ddpm",
    space={"t_max": tune.grid_search([10_000, 100_000])},
    metric="fcd",
    mode="min",
    search="grid",
    fixed={
        "dataset": "cifar10", "optimizer": "adam", "lr": 1e-4, "beta1": 0.9, "beta2": 0.99, "batch_size": 16,
        "accumulate": 1, "epochs": 100_000 * 16 / 45_000, "schedule": "cosine", "ema_decay": 0.995,
        "ema_every": 16, "report_every": 10_000, "width": 64, "multipliers": "1,2,4,8", "blocks": 2,
        "attention": 4, "noise_schedule": "linear", "prediction": "eps", "samples": 1000, "steps": 50,
    },
)  # fmt: skip

if __name__ == "__main__":
    sweep.main()
