"""Bundles as files that others run, each checked against its bundle before it is there.

A format is one file in this folder: a `Format` in the file's `FORMATS`.
"""

import importlib.util
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from pidkd_jax.core import atomic_folder, registry, versions
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.export import verification
from pidkd_jax.export.deployable import Deployable
from pidkd_jax.export.format import Format

__all__ = ['Deployable', 'Format', 'check', 'export', 'formats', 'names']

_CARD, _EXAMPLE, _IMAGE = 'card.json', 'example.py', 'example.png'


def formats() -> Mapping[str, Format]:
  """Those that there are, by name."""
  return registry.discover(__name__, 'FORMATS')


def names() -> list[str]:
  """The names of the formats."""
  return list(formats())


def check(name: str, folder: pathlib.Path, uint8: bool) -> Format:
  """The format of that name, if it can be written there.

  Args:
    name: one of `names()`.
    folder: an export that is there will be replaced.
    uint8: whether it is to take pixels.

  Raises:
    UserError: it cannot, what writes and runs it is not installed, or another thing is there.
  """
  found = registry.find('format', __name__, 'FORMATS', name)
  if uint8 and not found.computes:
    raise UserError(
      f'format {name!r} holds variables and no normalisation; leave out --uint8, its card has mean '
      'and std'
    )
  lacking = [module for module in found.needs if not importlib.util.find_spec(module)]
  if lacking:
    raise UserError(
      f"format {name!r} needs {', '.join(lacking)}: pip install 'pidkd_jax[{found.extra}]'"
    )
  ours = (folder / atomic_folder.MANIFEST).is_file() and (folder / _EXAMPLE).is_file()
  if folder.exists() and not ours:
    raise UserError(f'{str(folder)!r} is there and holds no export; give another --out')
  nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
  if not nearest.is_dir() or not os.access(nearest, os.W_OK):
    raise UserError(f'{str(folder)!r} cannot be written, for {str(nearest)!r}; give another --out')
  return found


def export(
  deployable: Deployable,
  name: str,
  folder: pathlib.Path,
  test: Split,
  expected: np.ndarray,
  largest_loss: float,
) -> dict[str, Any]:
  """Writes a folder: the file, card.json, example.py with example.png, and manifest.json.

  The file is run by its own runtime over the test images; the folder is there only if that agrees.

  Args:
    deployable: what is exported.
    name: of the format.
    folder: replaces an export that is there.
    test: the test split.
    expected: the bundle's logits of it, float32 [N, K].
    largest_loss: of top-1 in points, that an inexact format may cost.

  Returns:
    What the card says of the export.

  Raises:
    UserError: the format cannot express the network, the file does not agree, or as `check`
      says.
  """
  how = check(name, folder, deployable.uint8)
  with atomic_folder.replacing(folder) as part:
    how.write(deployable, part / how.file)
    agreement = verification.compare(
      how.open(part / how.file, deployable), deployable, test, expected
    )
    limit = None if how.exact else largest_loss
    verification.check(f'{name} of {str(deployable.bundle.folder)!r}', agreement, limit)
    facts = {
      'format': name,
      'file': how.file,
      'bytes': (part / how.file).stat().st_size,
      'input': deployable.input(),
      'bundle': deployable.bundle.digest,
      'versions': versions.of('pidkd_jax', 'jax', *how.distributions),
      'verification': agreement.facts(),
    }
    atomic_folder.write_json(part / _CARD, {**deployable.bundle.card, 'export': facts})
    (part / _EXAMPLE).write_text(how.example())
    pixels = np.asarray(next(iter(test.take(np.arange(1)).blocks(1))))[0]
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(part / _IMAGE)
  return facts
