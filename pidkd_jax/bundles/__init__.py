"""Trained networks as folders: saved, checked, loaded, described, imported from PyTorch."""
