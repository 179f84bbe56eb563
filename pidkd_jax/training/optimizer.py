"""SGD with momentum, weight decay and a learning rate that drops."""

import dataclasses

import jax
import optax

from pidkd_jax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """A recipe in steps; hashable, so that it is part of a compiled step's identity.

  Attributes:
    total_steps: of the training.
    boundaries: the steps after which the learning rate drops.
    drop_factor: what a drop multiplies it by.
    momentum: of SGD.
  """

  total_steps: int
  boundaries: tuple[int, ...]
  drop_factor: float
  momentum: float

  def progress(self, step: jax.Array) -> jax.Array:
    """The share of the training that a step completes, in (0, 1]."""
    return (step + 1) / self.total_steps

  def rate(self, step: jax.Array) -> jax.Array:
    """What multiplies a member's learning rate at a step."""
    # Two drops may fall on one step of a very short training.
    scales = {}
    for boundary in self.boundaries:
      scales[boundary] = scales.get(boundary, 1.0) * self.drop_factor
    return optax.piecewise_constant_schedule(1.0, scales)(step)

  def transform(
    self, learning_rate: jax.Array, weight_decay: jax.Array
  ) -> optax.GradientTransformation:
    """SGD as PyTorch has it: decay joins the gradient, the rate multiplies the momentum."""
    return optax.chain(
      optax.add_decayed_weights(weight_decay),
      optax.trace(self.momentum),
      optax.scale(-learning_rate),
    )


def optimizer(recipe: Recipe, num_examples: int) -> Optimizer:
  """Turns a recipe's epochs into steps, once."""
  steps_per_epoch = recipe.steps_per_epoch(num_examples)
  total = recipe.total_epochs * steps_per_epoch
  return Optimizer(
    total_steps=total,
    boundaries=tuple(round(drop * total) for drop in recipe.drops),
    drop_factor=recipe.drop_factor,
    momentum=recipe.momentum,
  )
