"""Methods as a user writes them, for tests of names such as `tests.methods.own:Cosine`."""

import functools

import jax.numpy as jnp

from pidkd_jax.methods import Harness, Method


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


class Bare(Method):
  """Without a loss."""


heavy = functools.partial(Cosine, weight=5.0)
number = 3
