"""Trains generative trainables with three seeds and prints what they reach: `python docs/qualities.py NAME`.

Each name is a row of a table in the documents; without names all. One process, on one thread of the CPU.
"""

import statistics
import sys
import time
from typing import Any

import torch

import trainables
from trainables.engine import hparams
from trainables.engine.ddp import Ranks

SEEDS = (0, 1, 2)
DENOISER = {
    "optimizer": "adamw", "lr": 4e-3, "batch_size": 64, "epochs": 60, "ema_decay": 0.995, "warmup_steps": 50,
    "report_every": 1217, "samples": 500,
}  # fmt: skip
FLOW = {
    "optimizer": "adamw", "lr": 2e-3, "batch_size": 64, "epochs": 60, "ema_decay": 0.995, "width": 128,
    "report_every": 1217, "samples": 500,
}  # fmt: skip
COUPLINGS = FLOW | {"layers": 6, "dropout": 0.2}
BITS = ("test_bits_per_dim", "fcd")
CODES = {
    "halvings": 1, "width": 32, "restart": 0.3, "decay": 0.95, "optimizer": "adamw", "lr": 4e-3,
    "batch_size": 64, "epochs": 40, "schedule": "wsd", "report_every": 811,
}  # fmt: skip
CODED = ("test_psnr", "test_perplexity", "mean_image_psnr")
DRAWN, SAMPLER = ("fcd", "consistency"), "trainables.sampler:Sampler"
ROWS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "ddpm": ("ddpm", DENOISER | {"steps": 50, "eta": 1.0}, ("fcd",)),
    "sde vp": ("sde", DENOISER | {"path": "vp", "steps": 30}, ("fcd", "test_bits_per_dim")),
    "sde cosine": ("sde", DENOISER | {"path": "cosine", "steps": 30}, ("fcd", "test_bits_per_dim")),
    "nice": ("nice", COUPLINGS, BITS),
    "realnvp": ("realnvp", COUPLINGS | {"lr": 1e-3}, BITS),
    "spline flow": ("spline_flow", FLOW | {"layers": 3, "weight_decay": 0.1, "epochs": 30}, BITS),
    "flow matching": ("flow_matching", DENOISER | {"steps": 30}, BITS),
    "200 steps": (SAMPLER, {"steps": 200}, DRAWN),
    "200 steps, eta 1": (SAMPLER, {"steps": 200, "eta": 1.0}, DRAWN),
    "50 steps": (SAMPLER, {"steps": 50}, DRAWN),
    "50 steps, eta 1": (SAMPLER, {"steps": 50, "eta": 1.0}, DRAWN),
    "10 steps": (SAMPLER, {"steps": 10}, DRAWN),
    "10 steps, eta 1": (SAMPLER, {"steps": 10, "eta": 1.0}, DRAWN),
    "guidance -1": (SAMPLER, {"steps": 50, "guidance": -1.0}, ("fcd",)),
    "guidance 0.5": (SAMPLER, {"steps": 50, "guidance": 0.5}, DRAWN),
    "guidance 1": (SAMPLER, {"steps": 50, "guidance": 1.0}, DRAWN),
    "guidance 4": (SAMPLER, {"steps": 50, "guidance": 4.0}, DRAWN),
    "scale 1": (SAMPLER, {"steps": 50, "guidance": -1.0, "scale": 1.0}, DRAWN),
    "scale 3": (SAMPLER, {"steps": 50, "guidance": -1.0, "scale": 3.0}, DRAWN),
    "scale 3, eta 1": (SAMPLER, {"steps": 50, "guidance": -1.0, "scale": 3.0, "eta": 1.0}, DRAWN),
    "scale 10": (SAMPLER, {"steps": 50, "guidance": -1.0, "scale": 10.0}, DRAWN),
    "latent diffusion": (
        "latent_diffusion",
        DENOISER | {"epochs": 40, "report_every": 811, "steps": 20},
        ("fcd", "fcd_autoencoder", "fcd_floor", "consistency", "tones"),
    ),
    "vqvae": ("vqvae", CODES, CODED),
}
"""By name: trainable, config, and what of the last report."""


def reach(trainable: str, config: dict[str, Any], seed: int) -> dict[str, float]:
    """The last report of one trial."""
    task = trainables.load(trainable).task
    made = task(hparams.make(task.Config, config | {"seed": seed}))
    made.setup()
    engine = made.engine(Ranks(0, 1, torch.device("cpu")))
    report: dict[str, float] = {}
    while not report.get("done"):
        report = engine.advance() | engine.evaluate()
    return report


def row(name: str) -> str:
    """One of the table: mean over seeds, least and largest."""
    trainable, config, metrics = ROWS[name]
    began = time.process_time()
    reports = [reach(trainable, config, seed) for seed in SEEDS]
    seconds = (time.process_time() - began) / len(SEEDS)
    found = []
    for metric in metrics:
        values = [report[metric] for report in reports]
        found.append(f"`{metric}` {statistics.mean(values):.3g} ({min(values):.3g} to {max(values):.3g})")
    return f"| {name} | {', '.join(found)} | {seconds:.0f} | `python docs/qualities.py '{name}'` |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in sys.argv[1:] or ROWS:
        print(row(each), flush=True)
