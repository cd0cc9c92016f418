"""Search in a gallery, its scores, and the compatibility matrix of a sequence of models (paper, Eq. 6)."""
