"""A dataset, and the parts of its training split."""

import dataclasses

import numpy as np

from pidkd_jax.core.errors import UserError, whole_number
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.data.pipeline.split import Split


@dataclasses.dataclass(frozen=True, eq=False)
class Unlabelled:
  """Images without labels.

  Attributes:
    split: all of its labels are -1.
    fingerprint: SHA-256 (hex) of the images.
  """

  split: Split
  fingerprint: str


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
  """A training and a test split, in memory or on disk, and their description.

  Attributes:
    spec: all that methods, tables and bundles need to know of the dataset.
    train: the training split, or the part of it that `hold_out` or `few_shot` kept.
    test: the split that papers report as test (Tiny-ImageNet: the validation split).
    unlabelled: further images, which students train on whose loss reads no label; or None.
  """

  spec: DatasetSpec
  train: Split
  test: Split
  unlabelled: Unlabelled | None = None

  @property
  def labelled(self) -> 'Dataset':
    """The dataset without its unlabelled images, to train with labels."""
    return dataclasses.replace(self, unlabelled=None)

  def join_unlabelled(self) -> 'Dataset':
    """Return the dataset with its unlabelled images behind those of the training split."""
    if self.unlabelled is None:
      return self
    return self._with_train(self.train.joined(self.unlabelled.split)).labelled

  def hold_out(self, fraction: float, seed: int) -> tuple['Dataset', Split]:
    """Split a class-balanced part off the training split, to choose hyper-parameters on.

    A class of n images gives round(fraction * n) of them. It gives at least one and keeps at least
    one. Both parts keep the split's order.

    Args:
      fraction: the share to hold out, between 0 and 1 (both excluded).
      seed: determines which images are held out.

    Returns:
      The dataset without the held-out part, also in the labels of its spec; the held-out part.

    Raises:
      UserError: the fraction is out of range, or a class has a single image.

    Example:
      >>> from pidkd_jax.data import noise
      >>> rest, held_out = noise.dataset(100, 8, num_classes=4).hold_out(0.2, seed=0)
      >>> len(rest.train), len(held_out), rest.spec.num_examples
      (80, 20, 80)
    """
    if not 0 < fraction < 1:
      raise UserError(f'hold-out fraction {fraction} must lie between 0 and 1, e.g. 0.1')
    random = np.random.default_rng(seed)
    labels = self.train.labels
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels):
      members = np.flatnonzero(labels == label)
      if len(members) == 1:
        raise UserError(
          f'class {self.spec.class_names[label]!r} of {self.spec.name} has 1 training image;'
          ' a hold-out needs 2 of every class'
        )
      size = min(max(round(fraction * len(members)), 1), len(members) - 1)
      held_out[random.permutation(members)[:size]] = True
    return self._with_train(self.train.take(~held_out)), self.train.take(held_out)

  def few_shot(self, shots: int, seed: int, rest: bool = False) -> 'Dataset':
    """Keep the same number of training images of each class, in the split's order.

    Args:
      shots: the training images of each class.
      seed: determines which images are kept. More shots keep those of fewer.
      rest: whether the other images stay, too, without their labels (-1).

    Returns:
      The dataset with the smaller training split, also in the labels of its spec.

    Raises:
      UserError: that is none, or a class has fewer images.

    Example:
      >>> from pidkd_jax.data import noise
      >>> np.bincount(noise.dataset(100, 8, num_classes=4).few_shot(5, seed=0).train.labels)
      array([5, 5, 5, 5])
    """
    whole_number('shots', shots, 1)
    random = np.random.default_rng(seed)
    labels = self.train.labels
    kept = np.zeros(len(labels), bool)
    for label in np.unique(labels):
      members = np.flatnonzero(labels == label)
      if len(members) < shots:
        raise UserError(
          f'shots is {shots}; class {self.spec.class_names[label]!r} of {self.spec.name} has '
          f'{len(members)} training images'
        )
      kept[random.permutation(members)[:shots]] = True
    if rest:
      return self._with_train(self.train.relabelled(np.where(kept, labels, -1).astype(np.int32)))
    return self._with_train(self.train.take(kept))

  def _with_train(self, train: Split) -> 'Dataset':
    spec = dataclasses.replace(self.spec, labels=train.labels)
    return dataclasses.replace(self, spec=spec, train=train)
