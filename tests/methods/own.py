"""Methods as a user writes them, for tests of names such as `tests.methods.own:Cosine`."""

import functools

import jax
import jax.numpy as jnp

from pidkd_jax.methods import Harness, Method
from pidkd_jax.methods.scratch import Scratch


class Cosine(Harness):
  """Cross-entropy, KD and one minus the cosine of the pooled features."""

  weight: float = 1

  def terms(self, features, teacher, batch, progress):
    ours, theirs = features.pooled, teacher.features.pooled
    norms = jnp.linalg.norm(ours, axis=-1) * jnp.linalg.norm(theirs, axis=-1)
    return {'cosine': self.weight * (1 - jnp.sum(ours * theirs, axis=-1) / (norms + 1e-6))}


class Failing(Harness):
  """Its terms fail."""

  def terms(self, features, teacher, batch, progress):
    raise KeyError('depth')


class Required(Method):
  """A field without a default."""

  power: float

  def loss(self, batch, teacher, *, progress):
    return {}


class Odd(Cosine):
  """A field that no configuration can hold."""

  powers: tuple = (1, 2)


class Taken(Cosine):
  """A field that every row has."""

  trials: int = 1


class Hurried(Cosine):
  """A field that the optimizer has."""

  weight_decay: float = 0.1


class Scaled(Scratch):
  """It deploys weights times a number."""

  scale: float = 2.0

  def deployed(self, variables, teacher):
    network = super().deployed(variables, teacher)
    scaled = jax.tree.map(lambda leaf: self.scale * leaf, network.variables)
    return network.replace(variables=scaled)


class Bare(Method):
  """Without a loss."""


heavy = functools.partial(Cosine, weight=5.0)
number = 3
