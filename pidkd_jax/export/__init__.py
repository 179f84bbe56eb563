"""Bundles as files for other runtimes, each verified against its bundle before it is kept.

A format is one file in this folder: a subclass of `Format`, named in the file's `FORMATS`.

    kd.export.export_network(student, data, 'onnx', 'exported')     # student: of kd.load, ...
"""

from pidkd_jax.export.catalog import formats, names
from pidkd_jax.export.deployable import LAYOUTS, Deployable
from pidkd_jax.export.export_folder import check, check_network, export, export_network
from pidkd_jax.export.format import Format

__all__ = (
  'LAYOUTS',
  'Deployable',
  'Format',
  'check',
  'check_network',
  'export',
  'export_network',
  'formats',
  'names',
)
