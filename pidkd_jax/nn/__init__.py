"""Layers, the projector stack, losses and numerics: what networks and methods are built from."""
