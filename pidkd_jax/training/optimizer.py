"""Optimizers and schedules of the learning rate, put together from those of optax."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import optax

from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.parallel import devices
from pidkd_jax.training.recipe import Recipe

Parts = tuple[optax.GradientTransformation, ...]


@dataclasses.dataclass(frozen=True)
class Rule:
  """How a gradient becomes a step.

  Attributes:
    parts: (momentum, weight decay) -> the transformations before the learning rate.
    moment: the field of their state that averages gradients.
    factor: momentum -> the factor that makes a weighted mean of that average.
    steps_by_moment: whether the step is the learning rate times that average.
  """

  parts: Callable[[float, jax.Array], Parts]
  moment: str
  factor: Callable[[float], float]
  steps_by_moment: bool


# PyTorch's SGD, where the gradient includes the decay; the same with Nesterov's correction; and
# AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), where the decay is apart from the moments.
RULES: Mapping[str, Rule] = {
  'sgd': Rule(
    lambda momentum, decay: (optax.add_decayed_weights(decay), optax.trace(momentum)),
    'trace',
    lambda momentum: 1 - momentum,
    steps_by_moment=True,
  ),
  'nesterov': Rule(
    lambda momentum, decay: (
      optax.add_decayed_weights(decay),
      optax.trace(momentum, nesterov=True),
    ),
    'trace',
    lambda momentum: 1 - momentum,
    steps_by_moment=False,
  ),
  'adamw': Rule(
    lambda momentum, decay: (optax.scale_by_adam(momentum), optax.add_decayed_weights(decay)),
    'mu',
    lambda momentum: 1.0,
    steps_by_moment=False,
  ),
}


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """A recipe in steps. It is hashable, so that it can be static under `jax.jit`.

  Attributes:
    total_steps: length of the training.
    boundaries: the first step, counted from 0, at each lower learning rate.
    drop_factor: factor by which a drop multiplies the learning rate.
    momentum: as in the recipe, with `rule`, `schedule` and `clip_norm`.
    rule: a name in `RULES`.
    schedule: a name in `SCHEDULES`.
    warmup_steps: the steps before the schedule, in which the rate rises.
    clip_norm: 0 for no limit.
    ema: decay of the average of the weights; 0 for none.
    accumulation: parts of a batch whose gradients are averaged.
  """

  total_steps: int
  boundaries: tuple[int, ...]
  drop_factor: float
  momentum: float
  rule: str = 'sgd'
  schedule: str = 'drops'
  warmup_steps: int = 0
  clip_norm: float = 0.0
  ema: float = 0.0
  accumulation: int = 1

  @classmethod
  def from_recipe(cls, recipe: Recipe, num_examples: int) -> 'Optimizer':
    """Turn a recipe's epochs into steps.

    Args:
      recipe: of the training.
      num_examples: images in the training split.

    Raises:
      UserError: the batch size does not fit the split or the parts of a batch, or a name is
        unknown.
    """
    for kind, name, known in (
      ('optimizer', recipe.optimizer, RULES),
      ('schedule', recipe.schedule, SCHEDULES),
    ):
      if name not in known:
        raise unknown_name(kind, name, known)
    least = recipe.accumulation * devices.count()
    if recipe.batch_size % least:
      below, above = recipe.batch_size // least * least, -(-recipe.batch_size // least) * least
      raise UserError(
        f'batch_size is {recipe.batch_size}, and accumulation {recipe.accumulation} needs a '
        f'multiple of {least}; take {f"{below} or {above}" if below else above}'
      )
    total = recipe.total_epochs * recipe.steps_per_epoch(num_examples)
    return cls(
      total_steps=total,
      boundaries=tuple(round(drop * total) for drop in recipe.drops),
      drop_factor=recipe.drop_factor,
      momentum=recipe.momentum,
      rule=recipe.optimizer,
      schedule=recipe.schedule,
      # The schedule begins in the last step at the latest.
      warmup_steps=min(round(recipe.warmup * total), total - 1),
      clip_norm=recipe.clip_norm,
      ema=recipe.ema,
      accumulation=recipe.accumulation,
    )

  def progress(self, step: jax.Array) -> jax.Array:
    """Return the share of the training that a step completes, in (0, 1]."""
    return (step + 1) / self.total_steps

  def rate(self, step: jax.Array) -> jax.typing.ArrayLike:
    """Return the factor of the learning rate at a step.

    In w steps of warm-up it is 1 / (w + 1), 2 / (w + 1), and so on. The first step after them has
    the full rate.
    """
    schedule = SCHEDULES[self.schedule](self)
    warmup = self.warmup_steps
    if warmup:
      rising = optax.linear_schedule(1 / (warmup + 1), 1.0, warmup)
      schedule = optax.join_schedules([rising, schedule], [warmup])
    return schedule(step)

  def transform(
    self, learning_rate: jax.Array, weight_decay: jax.Array
  ) -> optax.GradientTransformation:
    """Return the rule's transformation; the gradient is clipped before weight decay joins it."""
    clip = (optax.clip_by_global_norm(self.clip_norm),) if self.clip_norm else ()
    parts = RULES[self.rule].parts(self.momentum, weight_decay)
    return optax.chain(*clip, *parts, optax.scale(-learning_rate))


def _drops(optimizer: Optimizer) -> optax.Schedule:
  # Two drops may fall on one step of a very short training.
  scales = {}
  for boundary in optimizer.boundaries:
    after = boundary - optimizer.warmup_steps
    scales[after] = scales.get(after, 1.0) * optimizer.drop_factor
  return optax.piecewise_constant_schedule(1.0, scales)


def _cosine(optimizer: Optimizer) -> optax.Schedule:
  """Source: Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts."""
  return optax.cosine_decay_schedule(1.0, optimizer.total_steps - optimizer.warmup_steps)


# {name: a function from the recipe in steps to the schedule of the steps after the warm-up}.
SCHEDULES: Mapping[str, Callable[[Optimizer], optax.Schedule]] = {
  'drops': _drops,
  'cosine': _cosine,
}
