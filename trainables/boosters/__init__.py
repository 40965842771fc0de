"""Ensembles that grow by rounds, their training rows dealt out to ranks: AdaBoost, GBDT and XGBoost.

XGBoost sums histograms over processes itself, so the library is used as it is. scikit-learn fits trees to the
rows of one process only: the trees of the other two are our own (`trees`), each level's histograms summed
over ranks as DDP sums gradients, and scikit-learn is the oracle of their tests.
"""
