"""What decides the result of a training."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from pidkd_jax.data.pipeline import augment
from pidkd_jax.nn import precision
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe


@dataclasses.dataclass(frozen=True)
class Experiment:
  """Everything that decides the result of a cohort but data and teacher; plain values.

  Attributes:
    members: with distinct names.
    recipe: what the members share.
    seed: of data order and augmentation, and with a trial's number of the weights.
    padding: pixels of zero padding for the crop 'pad'.
    flip: whether training images are mirrored at random.
    holdout: share of the training split that selects each member's epoch; 0 for the last epoch.
    eval_every: epochs between evaluations.
    shots: training images of each class that the members see; 0 for all.
    rest: whether the members see the others, too, without their labels.
    crop: the name of the random crop (`augment.CROPS`).
    crop_scale: of the crop 'resized', as `augment.ResizedCrop` takes it.
    crop_aspect: of the crop 'resized', too.
  """

  members: tuple[Member, ...]
  recipe: Recipe
  seed: int
  padding: int
  flip: bool
  holdout: float = 0.0
  eval_every: int = 1
  shots: int = 0
  rest: bool = False
  crop: str = 'pad'
  crop_scale: tuple[float, float] = augment.ResizedCrop.scale
  crop_aspect: tuple[float, float] = augment.ResizedCrop.aspect

  @classmethod
  def from_json(cls, saved: Mapping[str, Any]) -> 'Experiment':
    """Read what `dataclasses.asdict` wrote, in this version or before.

    Fields that are newer than the file have their defaults.

    Raises:
      ValueError, TypeError, KeyError: the file holds something else.
    """
    fields = dict(saved)
    members = tuple(map(_member, fields.pop('members')))
    recipe = dict(fields.pop('recipe'))
    recipe['drops'] = tuple(recipe['drops'])
    for name in {'crop_scale', 'crop_aspect'} & fields.keys():
      fields[name] = tuple(fields[name])
    return cls(members=members, recipe=Recipe(**recipe), **fields)

  def decisive(self) -> 'Experiment':
    """Return the experiment without what cannot change its result."""
    # Without a hold-out, evaluations along the way change nothing.
    return self if self.holdout else dataclasses.replace(self, eval_every=1)


def _member(saved: Mapping[str, Any]) -> Member:
  fields = dict(saved)
  # Files of version 0.1.0 call it `numbers`.
  numbers = fields.pop('numbers', None) or fields.pop('optimizer')
  return Member(**fields, optimizer=OptimizerHparams(**numbers))


def in_precision(function: Callable) -> Callable:
  """Run a function of an experiment, its first argument, in the experiment's precision.

  All programs are then traced in one precision, and so only once.
  """

  @functools.wraps(function)
  def wrapped(experiment, *args, **kwargs):
    with precision.find(experiment.recipe.precision).scope():
      return function(experiment, *args, **kwargs)

  return wrapped
