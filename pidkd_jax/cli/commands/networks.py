"""List the networks with their cost and the map before the mean.

    pidkd networks --image_size 64 --num_classes 200

--maps adds the maps of stem and stages. NAME*0.5 is a network with half the
channels of NAME.
"""

import jax
import jax.numpy as jnp
from absl import flags

from pidkd_jax import models
from pidkd_jax.core import screen
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.models.network import Network

FLAGS = flags.FLAGS


def define_flags():
  flags.DEFINE_integer('image_size', 32, 'Side of the square images.', lower_bound=8)
  flags.DEFINE_integer('num_classes', 100, 'Number of classes.', lower_bound=1)
  flags.DEFINE_bool('maps', False, 'Show the maps of stem and stages, too.')


def main():
  shape = (FLAGS.image_size, FLAGS.image_size, 3)
  image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
  rows, widened = [], []
  for name in models.names():
    model = models.create(name, num_classes=FLAGS.num_classes)
    network = Network(jax.eval_shape(model.init, jax.random.key(0), image), model)
    features = jax.eval_shape(Network.encode, network, image)
    budget = cost(network, shape)
    widened += [name] if type(model).widened is not models.Model.widened else []
    stages = ', '.join(_shape(stage) for stage in features.stages)
    counts = [f'{budget.parameters:,}', f'{budget.multiply_adds:,}']
    rows.append([name, *counts, _shape(features.target), *([stages] if FLAGS.maps else [])])
  headings = ['network', 'parameters', 'multiply-adds', 'target']
  headings += ['stem and stages'] if FLAGS.maps else []
  text = (
    f'At {shape[0]}x{shape[1]} and {FLAGS.num_classes} classes. Maps are height x width x '
    'channels; the target is the map whose mean the classifier reads.'
  )
  print(f'{screen.paragraph(text)}\n\n{screen.Table(headings, rows, words=(0, 4)).render()}\n')
  text = (
    'NAME*0.5 has half the channels of NAME, as in --config.student=resnet8*0.5, and NAME*2 twice '
    f'as many. NAME is one of {", ".join(widened)}. A network of your own is '
    'package.module:Class. `pidkd methods` lists the methods.'
  )
  print(screen.paragraph(text))


def _shape(array):
  return '{}x{}x{}'.format(*array.shape[1:])
