"""Contrastive representation distillation with a memory bank.

Source: Tian et al. 2020, arXiv:1910.10699, in the form of authors' code (RepDistiller): noise
contrastive estimation on both sides with a normaliser that the first batch fixes. They add 1e-7 to
the denominators, which is nothing to M / N and is left out here.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from pidkd_jax.core.errors import UserError, at_least_one
from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn import initializers
from pidkd_jax.nn.layers import l2_normalize, linear


class CRD(Harness):
  """A network's embedding of an image tells the other network's from those of other classes.

  The memory of all N examples is 2 N D numbers, 51 MB for CIFAR-100, on device and in checkpoints.

  Attributes:
    weight: of both sides' losses; 0.8 in SimKD, RepDistiller and mdistiller.
    dimension: D, of the embeddings; 128 likewise.
    num_negatives: M, for each image; 16384 likewise. Authors draw with replacement only where the
      other classes have fewer images than that; here it is always so, and no M is too large.
    contrast_temperature: of the similarities; 0.07 likewise.
    momentum: what an update leaves of an embedding in the memory; 0.5 likewise.
  """

  weight: float = 0.8
  dimension: int = 128
  num_negatives: int = 16384
  contrast_temperature: float = 0.07
  momentum: float = 0.5

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del progress
    at_least_one(dimension=self.dimension, num_negatives=self.num_negatives)
    labels = self.dataset.labels
    counts = negatives(self.make_rng('method'), labels, batch.label, self.num_negatives)
    compared = batch.index, counts, self.contrast_temperature
    ours, theirs = features.pooled, teacher.features.pooled
    student = Side(len(labels), self.dimension, ours.shape[-1], name='student_side')
    teacher = Side(len(labels), self.dimension, theirs.shape[-1], name='teacher_side')
    ours, theirs = student.embed(ours), teacher.embed(theirs)
    terms = {
      'student_contrast': teacher.contrast(ours, *compared),
      'teacher_contrast': student.contrast(theirs, *compared),
    }
    if not self.is_initializing():
      student.update(ours, batch.index, self.momentum)
      teacher.update(theirs, batch.index, self.momentum)
    return {name: self.weight * term for name, term in terms.items()}


class Side(nn.Module):
  """One network's embedding, and the collection 'memory' of what it made of all examples.

  Attributes:
    num_examples: N.
    dimension: D.
    fan_in: C, of the pooled feature.
  """

  num_examples: int
  dimension: int
  fan_in: int

  def setup(self):
    def directions():
      # Authors' memory starts uniform, at a length of 1 on average; ours of length 1.
      shape = (self.num_examples, self.dimension)
      return l2_normalize(initializers.normal(self.make_rng('params'), shape))

    self.linear = linear(self.dimension, self.fan_in)
    self.memory = self.variable('memory', 'embeddings', directions)
    self.log_normalizer = self.variable('memory', 'log_normalizer', lambda: jnp.float32(-jnp.inf))

  def embed(self, pooled: jax.Array) -> jax.Array:
    """[B, C] -> [B, D], each of length 1."""
    return l2_normalize(self.linear(pooled))

  def contrast(
    self, other: jax.Array, index: jax.Array, counts: jax.Array, temperature: float
  ) -> jax.Array:
    """How badly the other network's embeddings are told from noise by this memory, in nats.

    Args:
      other: [B, D].
      index: int [B], the examples themselves.
      counts: [B, N], how often each example is among the M negatives of an image.
      temperature: of the similarities.

    Returns:
      [B], of the example itself and the sum over the negatives.
    """
    memory = self.memory.value
    # Gathering M rows each and scattering their gradient back would take longer on CPU.
    similarity = other @ memory.T / temperature
    itself = jnp.sum(other * memory[index], axis=-1) / temperature
    held = self.log_normalizer.value

    def normalizer():
      weights = counts + jax.nn.one_hot(index, self.num_examples)
      total = jax.nn.logsumexp(jax.lax.stop_gradient(similarity), b=weights)
      return total - jnp.log(jnp.sum(weights)) + np.log(self.num_examples)

    constant = jax.lax.cond(jnp.isneginf(held), normalizer, lambda: held)
    if not self.is_initializing():
      self.log_normalizer.value = constant
    # What tells an example from noise at equal odds: M / N, times the normaliser.
    even = constant + jnp.log(jnp.sum(counts, axis=-1) / self.num_examples)
    negative = jnp.sum(counts * nn.softplus(similarity - even[:, None]), axis=-1)
    return nn.softplus(even - itself) + negative

  def update(self, own: jax.Array, index: jax.Array, momentum: float) -> None:
    """Moves the rows `index` [B] of the memory towards `own` [B, D]; they keep length 1."""
    mixed = momentum * self.memory.value[index] + (1 - momentum) * jax.lax.stop_gradient(own)
    self.memory.value = self.memory.value.at[index].set(l2_normalize(mixed))


def negatives(key: jax.Array, labels: np.ndarray, label: jax.Array, count: int) -> jax.Array:
  """Examples of other classes, drawn uniformly with replacement.

  Args:
    key: PRNG key.
    labels: int [N], of all examples.
    label: int [B], of the batch; all of them occur in `labels`.
    count: M.

  Returns:
    float32 [B, N], how often each example was drawn; rows add up to M.

  Raises:
    UserError: there is no other class.
  """
  if len(np.unique(labels)) < 2:
    raise UserError('crd contrasts classes, and all examples are of one')
  sizes = np.bincount(labels)
  order, size = jnp.asarray(np.argsort(labels, kind='stable')), jnp.asarray(sizes)[label, None]
  first = jnp.asarray(np.cumsum(sizes) - sizes)[label, None]
  # In the order of the classes the own class is one block, which is skipped.
  place = jax.random.randint(key, (len(label), count), 0, len(labels) - size)
  drawn = order[jnp.where(place < first, place, place + size)]
  rows = jnp.arange(len(label))[:, None]
  return jnp.zeros((len(label), len(labels))).at[rows, drawn].add(1.0)


METHODS = {'crd': CRD}
