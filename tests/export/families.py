"""Exports of every family of networks, with random weights, to every executable format.

python -m tests.export.families prints the table of docs/lab/deployment.md.
"""

import pathlib
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax import export, models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.evaluation import inference
from pidkd_jax.models.network import Network
from tests import families

SHAPE = (16, 16, 3)
MEAN, STD = [0.5] * 3, [0.25] * 3
_DATASET = {'class_names': None, 'image_shape': list(SHAPE), 'mean': MEAN, 'std': STD}


def exported(name, formats, folder):
  """Export a network, and return {format: the card's entry} and its largest logit.

  Args:
    name: the network's name.
    formats: names of formats.
    folder: the folder to write into.
  """
  model = models.create(name, num_classes=5)
  shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, *SHAPE), np.float32))
  random = np.random.default_rng(0)

  def drawn(path, leaf):
    """Draw kernels that keep a map's size, variances and scales about 1, and the rest about 0."""
    if path[-1].key in ('var', 'scale'):
      return jnp.asarray(random.uniform(0.5, 1.5, leaf.shape), leaf.dtype)
    size = np.prod(leaf.shape[:-1]) if path[-1].key == 'kernel' else 100
    return jnp.asarray(random.normal(0, size**-0.5, leaf.shape), leaf.dtype)

  network = Network(jax.tree_util.tree_map_with_path(drawn, shapes), model)
  bundle = Bundle(network, {'dataset': _DATASET}, '', pathlib.Path(name))
  images = random.integers(0, 256, (40, *SHAPE)).astype(np.uint8)
  test = ResidentSplit(images, np.zeros(len(images), np.int32))
  expected = inference.logits(
    bundle.network, inference.eval_batches(test, Normalisation(MEAN, STD))
  )
  deployable = export.Deployable(bundle, True, images)
  return {
    one: export.export(deployable, one, folder / one, test, expected, 100) for one in formats
  }, float(np.abs(expected).max())


def main(names):
  formats = [name for name, one in export.formats().items() if one.executable]
  print(f'| network | {" | ".join(formats)} | largest logit |\n|--|{"--|" * len(formats)}--|')
  for name in names or families.SMALL.values():
    with tempfile.TemporaryDirectory() as folder:
      found, largest = exported(name, formats, pathlib.Path(folder))
    cells = [
      f'{one["verification"]["largest_difference"]:.1e}, {one["bytes"]:,}' for one in found.values()
    ]
    print(f'| {name} | {" | ".join(cells)} | {largest:.2f} |', flush=True)


if __name__ == '__main__':
  main(sys.argv[1:])
