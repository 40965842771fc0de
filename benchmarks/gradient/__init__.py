"""Search by hypergradients against searches without: real trainings, judged with fresh seeds."""
