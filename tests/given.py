"""What stands in for a student and a dataset where a test gives what they would hold."""

import dataclasses

import numpy as np
from flax import linen as nn

from pidkd_jax.models.base import Model


class Given(nn.Module):
  """In place of a student: it returns what stands in for the image."""

  def __call__(self, image, train=False):
    return image

  def stages(self, image, train=False):
    return (image,)

  def distillation_map(self, last, train=False):
    return last


class Linear(Model):
  """A student whose image is its map."""

  def setup(self):
    self.linear = nn.Dense(self.num_classes)

  def stages(self, image, train=False):
    return (image,)

  def classify(self, pooled):
    return self.linear(pooled)


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
  """In place of a dataset's description: its labels alone.

  Attributes:
    labels: int32 [N], 0 to K - 1 again and again.
  """

  labels: np.ndarray

  @classmethod
  def of(cls, size: int, num_classes: int) -> 'Examples':
    """Describe so many examples of so many classes."""
    return cls(np.arange(size, dtype=np.int32) % num_classes)
