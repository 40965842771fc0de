"""Search spaces: what Ray Tune's domains describe, seen as the unit cube.

`Space(param_space, constraints)` reads a (nested) dict of Ray's domains, of the further distributions here,
of `when(parent, values, domain)` and of constants.
"""

from search_algs.space.choices import Choice
from search_algs.space.conditions import Condition, Conditional, when
from search_algs.space.constraints import Constraint
from search_algs.space.distributions import (
    Distribution,
    beta,
    int_uniform,
    inv_log_uniform,
    inv_log_uniform_values,
    log_normal,
    log_uniform,
    log_uniform_values,
    normal,
    q_beta,
    q_log_normal,
    q_log_uniform,
    q_log_uniform_values,
    q_normal,
    q_uniform,
    weighted,
)
from search_algs.space.domains import Domain, Real, Stepped
from search_algs.space.errors import SpaceError
from search_algs.space.grid import Grid
from search_algs.space.space import Dimension, Space

__all__ = [
    "Choice",
    "Condition",
    "Conditional",
    "Constraint",
    "Dimension",
    "Distribution",
    "Domain",
    "Grid",
    "Real",
    "Space",
    "SpaceError",
    "Stepped",
    "beta",
    "int_uniform",
    "inv_log_uniform",
    "inv_log_uniform_values",
    "log_normal",
    "log_uniform",
    "log_uniform_values",
    "normal",
    "q_beta",
    "q_log_normal",
    "q_log_uniform",
    "q_log_uniform_values",
    "q_normal",
    "q_uniform",
    "weighted",
    "when",
]
