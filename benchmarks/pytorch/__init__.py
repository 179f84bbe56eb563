"""Independent PyTorch counterparts that the Flax networks and methods are tested against."""
