"""The base class of writers of metrics."""

import abc
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from pidkd_jax.core import extras


@dataclasses.dataclass(frozen=True)
class Training:
  """What a writer knows of the training whose metrics it gets.

  Attributes:
    folder: of the training; it exists.
    name: of the whole run, for people.
    step: where the training goes on.
    configuration: JSON values, or None.
    members: {member: its own settings, JSON values}.
  """

  folder: pathlib.Path
  name: str
  step: int = 0
  configuration: Any = None
  members: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


class Writer(abc.ABC):
  """A place for the metrics of a training.

  The contract between a writer and a training:

  - Rows come in the order of their steps, an epoch at a time. A writer takes the values of type
    float. A row with the member 'teacher' holds the teacher's values at the same step.
  - A resumed training opens the writer anew, in the same folder. No step may then appear twice.
  - A chosen writer may raise any error. It is dropped, and the training goes on (`ChosenWriters`).
  - The library of a chosen writer is imported within its methods, so that names do not need it.

  `clu.metric_writers` has such an interface, too. It cannot be imported without TensorFlow.

  Attributes:
    module: that a chosen writer needs; `core.extras` knows how to install it.
  """

  module: str = ''

  @abc.abstractmethod
  def __init__(self, training: Training):
    """Open the writer, for a training that begins or goes on."""

  @classmethod
  def check(cls, name: str) -> None:
    """Check, before training, what can be known to keep the writer from writing.

    Args:
      name: of the writer, for the message.

    Raises:
      UserError: its package is missing, or it is not set up.
    """
    extras.require(f'the writer {name!r}', cls.module)

  @abc.abstractmethod
  def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of metrics; each has 'step' and 'member'."""

  def summarise(self, results: Mapping[str, Mapping[str, float]]) -> None:
    """Write the final results on the test images, {member: {metric: value}}."""
    del results

  @abc.abstractmethod
  def close(self, complete: bool) -> None:
    """End writing.

    Args:
      complete: whether the training came to its end. Otherwise it stopped or failed.
    """


def floats(row: Mapping[str, Any]) -> dict[str, float]:
  """Return the metrics of a row, {name: value}."""
  return {name: value for name, value in row.items() if isinstance(value, float)}
