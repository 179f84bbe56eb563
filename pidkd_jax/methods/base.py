"""The contract of every distillation method."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
from flax import linen as nn

from pidkd_jax.core.types import Batch, DatasetSpec, Features, Variables
from pidkd_jax.models.base import Model
from pidkd_jax.models.network import Network, TeacherOutputs


class Method(nn.Module):
  """A module that owns the student and all else that a method trains.

  A method is a subclass. It must define `loss`. It may define `rates` and `deployed`, and set
  `needs_teacher` or `needs_labels` to False. Rules for a method:

  - Hyper-parameters are fields with defaults, annotated as float, int, str or bool.
  - Those annotated `float` may be traced, as members of a cohort that differ only in them share
    one compilation. No Python branch may depend on them. The others shape the program.
  - Random numbers come from the stream 'method'.
  - What a method carries from step to step is a variable collection. `loss` must not change it
    while `is_initializing()`, because initialisation runs `loss` once.
  - Maps come from the student's parts (`Model`), called with `train=True`.

  In return, the student's parameters lie under 'student', and the same seed gives every method
  the same student.

  Attributes:
    student: the model that is trained.
    target: the shapes of the teacher's Features of a training batch. It may be None where
      `needs_teacher` is False.
    dataset: what memory banks and new views need to know about the training split.
    needs_teacher: whether `loss` reads the teacher (class attribute).
    needs_labels: whether `loss` reads the labels (class attribute); cards and reports say so.

  Example:
    >>> class Mimic(Method):
    ...   weight: float = 1.0
    ...
    ...   def loss(self, batch, teacher, *, progress):
    ...     logits = self.student(batch.image, train=True)
    ...     error = losses.mean_squared_error(logits, teacher.logits)
    ...     return {'logits': self.weight * error}
  """

  student: Model
  target: Features
  dataset: DatasetSpec

  needs_teacher = True
  needs_labels = True

  def loss(
    self, batch: Batch, teacher: TeacherOutputs, *, progress: jax.Array
  ) -> dict[str, jax.Array]:
    """Compute the weighted terms of the loss; the sum of their means is minimised.

    Args:
      batch: a batch of the training split.
      teacher: the teacher's outputs for that batch. It may be None where `needs_teacher` is False.
      progress: float32 scalar in (0, 1], the share of the training that this step completes, for
        terms that change with time; 0 at the initialisation.

    Returns:
      {name: term}, each float32 [B] or scalar. No name is 'loss', which is the sum's.
    """
    raise NotImplementedError(f'{type(self).__name__} does not define `loss`')

  def rates(self) -> Mapping[str, jax.Array | float]:
    """Return factors on the learning rate by the name of the submodule; the default is 1."""
    return {}

  def deployed(self, variables: Variables, teacher: Network | None) -> Network:
    """Return the network that a bundle keeps of a training. It is called unbound.

    The default is the student with its own classifier. It must also run under `jax.eval_shape`, as
    the size of the deployed network is reported before the training.
    """
    del teacher
    return Network(subtree(variables, 'student'), self.student)


def subtree(variables: Variables, module: str) -> Variables:
  """Return the variables of one submodule, by collection."""
  return {collection: tree[module] for collection, tree in variables.items() if module in tree}


def hyperparameters(method: type[Method]) -> dict[str, dataclasses.Field]:
  """Return the fields of a method that a user may set, by name."""
  inherited = {field.name for field in dataclasses.fields(Method)}
  return {f.name: f for f in dataclasses.fields(method) if f.name not in inherited}


def default(field: dataclasses.Field[Any]) -> Any:
  """Return the default of a hyper-parameter; 1 is 1.0 where the annotation is float."""
  value: Any = field.default
  return float(value) if field.type in (float, 'float') else value
