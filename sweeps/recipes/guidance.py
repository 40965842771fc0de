"""Guidance: how strongly sampling is pushed towards a class, by the network itself and by a classifier.

    starling run sweeps/recipes/guidance.py
    starling run sweeps/recipes/guidance.py --set checkpoint=FOLDER --set classifier=FOLDER

FOLDER are checkpoints of ddpm with conditional=true and of noisy_classifier; without them the first trials
train small ones, which all others then use (kept in STARLING_CACHE). `consistency` in the reports is the
share of images in which our classifier sees the class that was asked for.

Cost: one minute for the 9 trials on 2 busy CPU cores, and two more where the networks are yet to be trained
(measured once each). The best, w = 0.5, came to an `fcd` of 1.5; as many real images reach 1.0, w = 4 only
12.
"""

from ray import tune

from search_algs.space import when
from sweeps import Sweep

sweep = Sweep(
    trainable="trainables.sampler:Sampler",
    space={
        "guidance": tune.choice([-1.0, 0.0, 0.5, 1.0, 2.0, 4.0]),
        "scale": when("guidance", -1.0, tune.choice([0.0, 1.0, 3.0, 10.0])),  # an unconditional network
    },
    metric="fcd",
    mode="min",
    search="grid",
    fixed={"sampler": "ddim", "steps": 20, "eta": 0.0},
)

if __name__ == "__main__":
    sweep.main()
