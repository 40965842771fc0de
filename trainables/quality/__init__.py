"""How good generated images are, without downloads: distances on features of a classifier of our own, and
what trivial models reach."""
