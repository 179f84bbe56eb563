"""Bundles as files for other runtimes, each verified against its bundle before it is kept.

A format is one file in this folder: a subclass of `Format`, named in the file's `FORMATS`.

Example:
  >>> deployable = Deployable(bundle, uint8=True, calibration=images)  # doctest: +SKIP
  >>> export(deployable, 'onnx', folder, test, logits, largest_loss=1)  # doctest: +SKIP
"""

from pidkd_jax.export.catalog import formats, names
from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.export_folder import check, export
from pidkd_jax.export.format import Format

__all__ = ('Deployable', 'Format', 'check', 'export', 'formats', 'names')
