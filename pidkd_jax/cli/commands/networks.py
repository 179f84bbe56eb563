"""List the networks with their cost and feature maps.

    pidkd networks --image_size 64 --num_classes 200

The output is a Markdown table.
"""

import jax
import jax.numpy as jnp
from absl import flags

from pidkd_jax import models
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.models.network import Network

FLAGS = flags.FLAGS


def define_flags():
  flags.DEFINE_integer('image_size', 32, 'Side of the square images.', lower_bound=8)
  flags.DEFINE_integer('num_classes', 100, 'Number of classes.', lower_bound=1)


def main():
  shape = (FLAGS.image_size, FLAGS.image_size, 3)
  image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
  print(f'At {shape[0]}x{shape[1]} and {FLAGS.num_classes} classes; maps are height x width x')
  print('channels, the target is the map whose mean the classifier reads.\n')
  print('| network | parameters | multiply-adds | stem and stages | target |')
  print('|--|--|--|--|--|')
  for name in models.names():
    model = models.create(name, num_classes=FLAGS.num_classes)
    network = Network(jax.eval_shape(model.init, jax.random.key(0), image), model)
    features = jax.eval_shape(Network.encode, network, image)
    budget = cost(network, shape)
    stages = ', '.join(_shape(stage) for stage in features.stages)
    print(
      f'| {name} | {budget.parameters:,} | {budget.multiply_adds:,} | {stages} '
      f'| {_shape(features.target)} |'
    )


def _shape(array):
  return '{}x{}x{}'.format(*array.shape[1:])
