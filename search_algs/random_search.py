"""Random search: every suggestion a uniform draw (Bergstra & Bengio, JMLR 13, 2012). Cost: 0.1 ms a
suggestion at any n."""

from __future__ import annotations

import numpy as np

from search_algs.ask_tell import AskTell, Unit


class RandomSearch(AskTell):
    """Independent draws from the parameters' own distributions; with constraints, from what they leave."""

    several_objectives = True
    learns = False

    def ask(self, number: int, rng: np.random.Generator) -> Unit:
        """A uniform feasible point."""
        return self.space.sample(rng)
