"""A cluster's YAML tried on one machine: Ray's real autoscaler and real nodes, in a cloud that is played.

    scenario.py       what the cloud does: boot time, refusals, preemptions; and how fast its clock runs
    played_cloud.py   that cloud, as a node provider of Ray's
    local_cluster.py  the head, started with the YAML's node types, limits, idle time and speed
    namespace.py      a private space of processes, so that nothing outside is seen or ended
    timeline.py       what became of each node, as text and as a picture
"""
