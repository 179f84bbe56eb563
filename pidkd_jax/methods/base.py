"""The contract of every distillation method."""

import dataclasses
from collections.abc import Mapping

import jax
from flax import linen as nn

from pidkd_jax.core.types import Batch, DatasetSpec, Features, Network, TeacherOutputs, Variables
from pidkd_jax.models.base import Model


class Method(nn.Module):
  """A module that owns the student and whatever else a method trains.

  Hyper-parameters are fields with defaults. Those annotated `float` are numbers that may be
  traced (members that differ only in them share one compilation), so no Python branch may
  depend on them; the others shape the program. Random numbers, where a method draws any, come
  from the stream 'method'; whatever it carries from step to step is a variable collection, which
  `loss` must not yet change while `is_initializing()`, as initialisation runs it once.

  Attributes:
    student: trained; its parameters lie under 'student' in every method, so that the same seed
      gives the same student to each.
    target: the teacher's Features of a training batch as shapes; None without a teacher.
    dataset: what memory banks need to know.
  """

  student: Model
  target: Features | None
  dataset: DatasetSpec

  needs_teacher = True

  def loss(
    self, batch: Batch, teacher: TeacherOutputs | None, *, progress: jax.Array
  ) -> dict[str, jax.Array]:
    """The weighted terms of the loss, each [B] or scalar; their means are added up.

    Args:
      batch: of the training split; the student trains on it.
      teacher: its view of the same batch; None only where `needs_teacher` is False.
      progress: float32 scalar in (0, 1], the share of the training that this step completes, for
        terms that change with time.
    """
    raise NotImplementedError

  def rates(self) -> Mapping[str, jax.Array | float]:
    """What multiplies the learning rate of a submodule, by its name; 1 where nothing is said."""
    return {}

  def deployed(self, variables: Variables, teacher: Network | None) -> Network:
    """What a bundle keeps of a training: a network like any other. Called unbound.

    The default is the student with its own classifier. It also runs under `jax.eval_shape`, as what
    will be deployed is told before anything is trained.
    """
    del teacher
    return Network(subtree(variables, 'student'), self.student)


def subtree(variables: Variables, module: str) -> Variables:
  """The variables of one submodule, by collection."""
  return {name: tree[module] for name, tree in variables.items() if module in tree}


def hyperparameters(method: type[Method]) -> dict[str, dataclasses.Field]:
  """The fields of a method that a user may set, by name."""
  inherited = {field.name for field in dataclasses.fields(Method)}
  return {f.name: f for f in dataclasses.fields(method) if f.name not in inherited}
