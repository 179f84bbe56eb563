"""Losses of each example, [B, ...] -> [B], that several methods share."""

import jax
import jax.numpy as jnp
import optax

from pidkd_jax.core.errors import UserError
from pidkd_jax.nn.precision import to_float32


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Compute the softmax cross-entropy in nats.

  Args:
    logits: [B, K].
    labels: int [B], each the index of a class; or [B, K], the classes' probabilities.

  Returns:
    [B].

  Example:
    >>> loss = cross_entropy(jnp.log(jnp.array([[0.5, 0.25, 0.25]])), jnp.array([0]))
    >>> [f'{x:.4f}' for x in loss]  # -log(0.5)
    ['0.6931']
  """
  if labels.ndim == logits.ndim:
    return optax.losses.softmax_cross_entropy(logits, labels)
  return optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)


def soft_targets(
  student_logits: jax.Array, teacher_logits: jax.Array, temperature: float | jax.Array = 4.0
) -> jax.Array:
  """Compute temperature^2 * KL(teacher || student) of the softened predictions, in nats.

  The square keeps the size of the gradients as the temperature rises.

  Args:
    student_logits: [B, K].
    teacher_logits: [B, K].
    temperature: divides both logits before the softmax.

  Returns:
    [B].

  Source: Hinton et al. 2015, arXiv:1503.02531, Sec. 2.

  Example:
    >>> teacher_logits = jnp.array([[4.0, 0.0, -4.0], [0.0, 2.0, 0.0]])
    >>> soft_targets(jnp.zeros((2, 3)), teacher_logits).shape
    (2,)
    >>> soft_targets(teacher_logits, teacher_logits, temperature=2.0).tolist()
    [0.0, 0.0]
  """
  student = jax.nn.log_softmax(student_logits / temperature)
  teacher = jax.nn.log_softmax(teacher_logits / temperature)
  return temperature**2 * optax.losses.kl_divergence_with_log_targets(student, teacher)


def standardize(logits: jax.Array) -> jax.Array:
  """Shift and scale logits to mean 0 and sample variance 1 over the classes.

  Args:
    logits: [B, K].

  Returns:
    [B, K]. Equal logits become zeros.

  Raises:
    UserError: as `check_standardized` does.

  Source: Sun et al. 2024, arXiv:2403.01427, Alg. 1, with K - 1 in the variance as in the authors'
  code.

  Example:
    >>> standardize(jnp.array([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])).tolist()
    [[-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
  """
  check_standardized(logits)
  centred = logits - jnp.mean(logits, axis=-1, keepdims=True)
  variance = jnp.sum(jnp.square(centred), axis=-1, keepdims=True) / (logits.shape[-1] - 1)
  # Equal logits have variance zero, by which nothing divides and where a root has no gradient.
  return centred * jax.lax.rsqrt(variance + 1e-12)


def check_standardized(logits: jax.Array) -> None:
  """Check that standardised logits, [..., K], can teach.

  Those of two classes are (c, -c) or (-c, c) whatever the logits are. So they have no gradient.

  Raises:
    UserError: there are fewer than three classes.

  Example:
    >>> check_standardized(jnp.zeros((8, 2)))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    pidkd_jax.core.errors.UserError: there are 2 classes, whose standardised logits are ...
  """
  if logits.shape[-1] < 3:
    raise UserError(
      f'there are {logits.shape[-1]} classes, whose standardised logits are constants and teach '
      'nothing; take a method that does not standardise them, such as kd_01_09'
    )


def warm_up(progress: jax.Array, duration: float) -> jax.Array:
  """Return the factor of a loss's weight that rises linearly to 1.

  mdistiller raises it epoch by epoch, over a number of epochs that does not depend on the
  training's length.

  Args:
    progress: scalar in (0, 1], the fraction of the training that is done.
    duration: the fraction of the training in which the factor rises; 0 for no warm-up.

  Returns:
    A scalar in (0, 1].

  Example:
    >>> [float(warm_up(jnp.float32(progress), 0.5)) for progress in (0.25, 0.5, 1.0)]
    [0.5, 1.0, 1.0]
  """
  return jnp.minimum(progress / jnp.maximum(duration, 1e-9), 1.0)


def mean_squared_error(prediction: jax.Array, target: jax.Array) -> jax.Array:
  """Average the squared difference over all axes but the first.

  Args:
    prediction: [B, ...].
    target: [B, ...].

  Returns:
    float32 [B].

  Example:
    >>> mean_squared_error(jnp.zeros((2, 4, 4, 8)), jnp.full((2, 4, 4, 8), 3.0)).tolist()
    [9.0, 9.0]
  """
  error = to_float32(prediction) - to_float32(target)
  return jnp.mean(jnp.square(error), axis=range(1, prediction.ndim))
