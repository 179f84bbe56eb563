"""The contract of training batches."""

import abc
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core.types import Batch
from pidkd_jax.data.pipeline.schedule import Schedule


class Batches(abc.ABC):
  """The training batches of a split, as a pure function of (seed, step).

  Ask for the order once an epoch and for the batch at every step:

      order = batches.order(step // batches.steps_per_epoch)
      batch = batches.batch(order, step)

  Any step may be asked for at any time, so a resumed training needs no position but its step. The
  batches do not depend on where the images lie, bit for bit.

  Attributes:
    schedule: the examples and the augmentation of every step.
    traceable: whether `batch` may be traced. One compiled call can then run several steps.
  """

  schedule: Schedule
  traceable: bool

  @property
  def steps_per_epoch(self) -> int:
    """The full batches in an epoch."""
    return self.schedule.steps_per_epoch

  @property
  def batch_size(self) -> int:
    """B."""
    return self.schedule.batch_size

  @property
  def dtype(self) -> jnp.dtype:
    """The type of the batches' images."""
    return self.schedule.dtype

  @property
  def shapes(self) -> Batch:
    """A batch as shapes."""
    return self.schedule.shapes

  def order(self, epoch: jax.Array) -> jax.Array:
    """Return an epoch's order of the examples, int32 [N].

    Args:
      epoch: int32 scalar, counted from 0.
    """
    return self.schedule.order(epoch)

  @abc.abstractmethod
  def batch(self, order: jax.Array, step: jax.Array | np.int32) -> Batch:
    """Return the batch of a step.

    Args:
      order: the order of the epoch that the step lies in.
      step: int32 scalar, counted from 0 at the beginning of the training. Where batches are not
        traceable, one of the host is read without waiting for the devices.

    Raises:
      UserError: the images are read from files, and a file is damaged.
    """

  @abc.abstractmethod
  def programs(self) -> list[Callable[[], jax.stages.Lowered]]:
    """Return functions that lower the programs that compute orders and batches."""
