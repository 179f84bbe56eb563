"""SGD with momentum, weight decay, and a learning rate that drops."""

import dataclasses

import jax
import optax

from pidkd_jax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """A recipe in steps. It is hashable, so that it can be static under `jax.jit`.

  Attributes:
    total_steps: length of the training.
    boundaries: the first step, counted from 0, at each lower learning rate.
    drop_factor: factor by which a drop multiplies the learning rate.
    momentum: SGD's.
  """

  total_steps: int
  boundaries: tuple[int, ...]
  drop_factor: float
  momentum: float

  @classmethod
  def from_recipe(cls, recipe: Recipe, num_examples: int) -> 'Optimizer':
    """Turn a recipe's epochs into steps.

    Args:
      recipe: of the training.
      num_examples: images in the training split.

    Raises:
      UserError: the batch size does not fit the split.
    """
    total = recipe.total_epochs * recipe.steps_per_epoch(num_examples)
    return cls(
      total_steps=total,
      boundaries=tuple(round(drop * total) for drop in recipe.drops),
      drop_factor=recipe.drop_factor,
      momentum=recipe.momentum,
    )

  def progress(self, step: jax.Array) -> jax.Array:
    """Return the share of the training that a step completes, in (0, 1]."""
    return (step + 1) / self.total_steps

  def rate(self, step: jax.Array) -> jax.typing.ArrayLike:
    """Return the factor of the learning rate at a step."""
    # Two drops may fall on one step of a very short training.
    scales = {}
    for boundary in self.boundaries:
      scales[boundary] = scales.get(boundary, 1.0) * self.drop_factor
    return optax.piecewise_constant_schedule(1.0, scales)(step)

  def transform(
    self, learning_rate: jax.Array, weight_decay: jax.Array
  ) -> optax.GradientTransformation:
    """Return SGD as in PyTorch: the gradient includes the decay, the rate scales the momentum."""
    return optax.chain(
      optax.add_decayed_weights(weight_decay),
      optax.trace(self.momentum),
      optax.scale(-learning_rate),
    )
