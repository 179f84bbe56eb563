"""Lists the networks with their cost and feature maps, as a Markdown table.

python scripts/networks.py [--image_size 64 --num_classes 200]
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import jax
import jax.numpy as jnp
from absl import flags

from pidkd_jax import models
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.core.types import Network

_IMAGE_SIZE = flags.DEFINE_integer('image_size', 32, 'Side of the images.', lower_bound=8)
_NUM_CLASSES = flags.DEFINE_integer('num_classes', 100, 'Of the classifier.', lower_bound=1)


def main():
  shape = (_IMAGE_SIZE.value, _IMAGE_SIZE.value, 3)
  image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
  print(f'At {shape[0]}x{shape[1]} and {_NUM_CLASSES.value} classes; maps are height x width x')
  print('channels, the target is the map whose mean the classifier reads.\n')
  print('| network | parameters | multiply-adds | stem and stages | target |')
  print('|--|--|--|--|--|')
  for name in models.names():
    model = models.create(name, num_classes=_NUM_CLASSES.value)
    network = Network(jax.eval_shape(model.init, jax.random.key(0), image), model)
    features = jax.eval_shape(Network.encode, network, image)
    found = cost(network, shape)
    stages = ', '.join(_map(stage) for stage in features.stages)
    print(
      f'| {name} | {found.parameters:,} | {found.multiply_adds:,} | {stages} '
      f'| {_map(features.target)} |'
    )


def _map(array):
  return '{}x{}x{}'.format(*array.shape[1:])


if __name__ == '__main__':
  app.run(main)
