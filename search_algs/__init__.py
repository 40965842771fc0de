"""Search algorithms: what to try next. Each is a Ray `Searcher`; nothing here knows of training or clusters.

    from search_algs import load
    tune.Tuner(train, param_space=space, tune_config=tune.TuneConfig(
        search_alg=load("tpe")(seed=1), metric="loss", mode="min", num_samples=32))

One algorithm, one file; `names()` lists them, `parameters(name)` what can be set. Spaces may have conditions
(`when`) and constraints, see `search_algs.space`. A searcher that has its space and metric is told what an
earlier one found by `searcher.learn(config, result)`, as in
`for one in tuner.fit(): searcher.learn(one.config, one.metrics)`.
"""

from search_algs.ask_tell import AskTell, Exhausted, Shared
from search_algs.registry import Parameter, build, load, names, parameters
from search_algs.space import Constraint, Space, SpaceError, when

__all__ = [
    "AskTell",
    "Constraint",
    "Exhausted",
    "Parameter",
    "Shared",
    "Space",
    "SpaceError",
    "build",
    "load",
    "names",
    "parameters",
    "when",
]
