"""Layers, projectors, losses and numerics that networks and methods are built from.

Everything is a Flax Linen module or a pure function.

  import jax, jax.numpy as jnp
  import pidkd_jax as kd

  stack = kd.nn.ProjectorStack(features=128)
  maps = jnp.ones((8, 4, 4, 64))
  variables = stack.init(jax.random.key(0), maps)
  projected = stack.apply(variables, maps)  # float32 [8, 4, 4, 128]
"""

from pidkd_jax.nn import convolution, image_policies, initializers, losses, precision
from pidkd_jax.nn.batch_norm import BatchNorm
from pidkd_jax.nn.layers import Classifier, ConvNorm, conv, linear
from pidkd_jax.nn.projectors import Projector, ProjectorStack
from pidkd_jax.nn.resize import average_to, match_resolution

__all__ = [
  'BatchNorm',
  'Classifier',
  'ConvNorm',
  'Projector',
  'ProjectorStack',
  'average_to',
  'conv',
  'convolution',
  'image_policies',
  'initializers',
  'linear',
  'losses',
  'match_resolution',
  'precision',
]
