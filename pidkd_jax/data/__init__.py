"""Datasets, all of them by way of TFDS and none of them by way of TensorFlow."""

from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.loading import load, names, published

__all__ = ['Dataset', 'load', 'names', 'published']
