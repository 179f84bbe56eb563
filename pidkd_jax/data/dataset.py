"""A dataset, and a part of its training split held out."""

import dataclasses

import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.data.pipeline.split import Split


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
  """Both splits, in memory or on disk, and what is known of them.

  Attributes:
    spec: what methods, tables and bundles need to know.
    train: the training split, or what `hold_out` left of it.
    test: what papers report as test (Tiny-ImageNet: the validation split).
  """

  spec: DatasetSpec
  train: Split
  test: Split

  def hold_out(self, fraction: float, seed: int) -> tuple['Dataset', Split]:
    """Sets a class-balanced part of the training split aside, to choose hyper-parameters on.

    A class of n images gives round(fraction * n) of them, but at least one, and keeps at least
    one. Both parts keep the split's order.

    Args:
      fraction: the part to set aside, between 0 and 1 (both excluded).
      seed: fixes which images; the same seed gives the same ones.

    Returns:
      The dataset whose training split (and the labels in its spec) is the rest; the part.

    Raises:
      UserError: if the fraction is out of range, or a class has a single image to give.
    """
    if not 0 < fraction < 1:
      raise UserError(f'hold-out fraction {fraction} must lie between 0 and 1, e.g. 0.1')
    random = np.random.default_rng(seed)
    labels = self.train.labels
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
      members = np.flatnonzero(labels == label)
      if len(members) == 1:
        raise UserError(
          f'class {self.spec.class_names[label]!r} of {self.spec.name} has 1 training image;'
          ' a hold-out needs 2 of every class'
        )
      size = min(max(round(fraction * len(members)), 1), len(members) - 1)
      held[random.permutation(members)[:size]] = True
    return self._with_train(self.train.take(~held)), self.train.take(held)

  def few_shot(self, shots: int, seed: int) -> 'Dataset':
    """Keep only some training images of each class, in the split's order.

    Args:
      shots: training images of each class.
      seed: fixes which images; more shots keep those of fewer.

    Raises:
      UserError: a class has fewer images.
    """
    random = np.random.default_rng(seed)
    labels = self.train.labels
    kept = np.zeros(len(labels), bool)
    for label in np.unique(labels):
      members = np.flatnonzero(labels == label)
      if len(members) < shots:
        raise UserError(
          f'data.shots is {shots}; class {self.spec.class_names[label]!r} of {self.spec.name} has '
          f'{len(members)} training images'
        )
      kept[random.permutation(members)[:shots]] = True
    return self._with_train(self.train.take(kept))

  def _with_train(self, train: Split) -> 'Dataset':
    spec = dataclasses.replace(self.spec, labels=train.labels)
    return dataclasses.replace(self, spec=spec, train=train)
