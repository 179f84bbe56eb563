"""Contrastive representation distillation: tell an image from others in a memory bank.

Each network's embedding of an image is told, by the other network's memory, from M embeddings of
images of other classes.

Loss: weight * (softplus(-o) of the image itself + sum of softplus(o) over its M negatives), once
for each side, where o = cos / contrast_temperature - log Z - log(M / N); beside it, `Harness` has
CE and KD.

Source: Tian et al. 2020, arXiv:1910.10699, in the form of the authors' code (RepDistiller): noise
contrastive estimation on both sides, with a normaliser Z that the first batch fixes.

Departures from the authors' code: negatives are always drawn with replacement. The memory starts at
length 1, not at length 1 on average. The 1e-7 in the denominators is left out, as it is negligible
beside M / N.
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
  """Contrastive representation distillation.

  The memory of all N examples has 2 N D numbers, on the device and in checkpoints: 51 MB for
  CIFAR-100. A step also holds several float32 arrays [B, N]: counts, similarities and what their
  gradient needs, 13 MB each for CIFAR-100 at B = 64. They grow with the batch.

  The defaults are those of SimKD, RepDistiller and mdistiller.

  Attributes:
    weight: of both sides' losses.
    dimension: D, the length of the embeddings.
    num_negatives: M, for each image. The authors draw with replacement only where the other classes
      have fewer than M images; here the draw always replaces, so no M is too large.
    contrast_temperature: divides the similarities.
    momentum: the share of an embedding in the memory that an update keeps.
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
    pooled, target = features.pooled, teacher.features.pooled
    student_side = Side(len(labels), self.dimension, pooled.shape[-1], name='student_side')
    teacher_side = Side(len(labels), self.dimension, target.shape[-1], name='teacher_side')
    embedding, target_embedding = student_side.embed(pooled), teacher_side.embed(target)
    terms = {
      'student_contrast': teacher_side.contrast(embedding, *compared),
      'teacher_contrast': student_side.contrast(target_embedding, *compared),
    }
    if not self.is_initializing():
      student_side.update(embedding, batch.index, self.momentum)
      teacher_side.update(target_embedding, batch.index, self.momentum)
    return {name: self.weight * term for name, term in terms.items()}


class Side(nn.Module):
  """One network's embedding, and its memory of all examples in the collection 'memory'.

  Attributes:
    num_examples: N, the size of the training split.
    dimension: D, the length of the embeddings.
    fan_in: C, the channels of the pooled feature.
  """

  num_examples: int
  dimension: int
  fan_in: int

  def setup(self):
    def directions():
      shape = (self.num_examples, self.dimension)
      return l2_normalize(initializers.normal(self.make_rng('params'), shape))

    self.linear = linear(self.dimension, self.fan_in)
    self.memory = self.variable('memory', 'embeddings', directions)
    self.log_normalizer = self.variable('memory', 'log_normalizer', lambda: jnp.float32(-jnp.inf))

  def embed(self, pooled: jax.Array) -> jax.Array:
    """Embed pooled features, [B, C] -> [B, D], each of length 1."""
    return l2_normalize(self.linear(pooled))

  def contrast(
    self, other: jax.Array, index: jax.Array, counts: jax.Array, temperature: float
  ) -> jax.Array:
    """Compute how badly this memory tells the other network's embeddings from noise, in nats.

    Args:
      other: [B, D], the other network's embeddings.
      index: int [B], the examples' places in the memory.
      counts: [B, N], how often each example is among the M negatives of an image.
      temperature: divides the similarities.

    Returns:
      [B], the loss of the example itself plus the sum over its negatives.
    """
    memory = self.memory.value
    # On CPU this is faster than gathering M rows an image and scattering their gradient.
    similarity = other @ memory.T / temperature
    itself = jnp.sum(other * memory[index], axis=-1) / temperature
    stored = jnp.asarray(self.log_normalizer.value)

    def estimate():
      weights = counts + jax.nn.one_hot(index, self.num_examples)
      total = jax.nn.logsumexp(jax.lax.stop_gradient(similarity), b=weights)
      estimated = total - jnp.log(jnp.sum(weights)) + np.log(self.num_examples)
      return estimated.astype(stored.dtype)

    log_normalizer = jax.lax.cond(jnp.isneginf(stored), estimate, lambda: stored)
    if not self.is_initializing():
      self.log_normalizer.value = log_normalizer
    # At this similarity, example and noise are equally likely: M / N times the normaliser.
    even = log_normalizer + jnp.log(jnp.sum(counts, axis=-1) / self.num_examples)
    negative = jnp.sum(counts * nn.softplus(similarity - even[:, None]), axis=-1)
    return nn.softplus(even - itself) + negative

  def update(self, embedding: jax.Array, index: jax.Array, momentum: float) -> None:
    """Move the memory's rows `index` [B] towards `embedding` [B, D]; they keep length 1."""
    old, new = self.memory.value[index], jax.lax.stop_gradient(embedding)
    mixed = momentum * old + (1 - momentum) * new
    self.memory.value = self.memory.value.at[index].set(l2_normalize(mixed).astype(old.dtype))


def negatives(key: jax.Array, labels: np.ndarray, label: jax.Array, count: int) -> jax.Array:
  """Draw examples of other classes, uniformly and with replacement.

  Args:
    key: PRNG key.
    labels: int [N], of all examples.
    label: int [B], of the batch; each occurs in `labels`.
    count: M.

  Returns:
    float32 [B, N], how often each example was drawn; each row sums to M.

  Raises:
    UserError: there is no other class.
  """
  if len(np.unique(labels)) < 2:
    raise UserError('crd contrasts classes, and all examples are of one')
  sizes = np.bincount(labels)
  order, size = jnp.asarray(np.argsort(labels, kind='stable')), jnp.asarray(sizes)[label, None]
  first = jnp.asarray(np.cumsum(sizes) - sizes)[label, None]
  # Sorted by class, an image's own class is one block, which the draw skips.
  place = jax.random.randint(key, (len(label), count), 0, len(labels) - size)
  drawn = order[jnp.where(place < first, place, place + size)]
  rows = jnp.arange(len(label))[:, None]
  return jnp.zeros((len(label), len(labels))).at[rows, drawn].add(1.0)


METHODS = {'crd': CRD}
