"""A cluster in virtual time: Ray's autoscaler, nodes that boot and are taken away, and their bill.

`Simulation(cluster, work, ...).run()` is a discrete-event simulation; what runs on the cluster is any `Work`.
"""

from cluster.planning.assumptions import Assumptions
from cluster.planning.simulation import Simulation
from cluster.planning.work import Outcome, Work

__all__ = ["Assumptions", "Outcome", "Simulation", "Work"]
