"""Where a training's metrics go, beside its own files.

A writer is one file in this folder: a subclass of `Writer`, named in the file's `WRITERS`.
TensorBoard always writes. The others write where a configuration chooses them.
"""

from pidkd_jax.training.writers.catalog import check, names
from pidkd_jax.training.writers.chosen import NONE, ChosenWriters
from pidkd_jax.training.writers.writer import Training, Writer

__all__ = ('NONE', 'ChosenWriters', 'Training', 'Writer', 'check', 'names')
