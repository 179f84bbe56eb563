"""Per-example losses that two or more methods use."""

import jax
import jax.numpy as jnp
import optax


def cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
  """Softmax cross-entropy in nats: logits [B, K], label int [B] -> [B]."""
  return optax.losses.softmax_cross_entropy_with_integer_labels(logits, label)


def soft_target(logits: jax.Array, teacher: jax.Array, temperature: float) -> jax.Array:
  """KL(teacher || student) of the classes at `temperature`, times its square, in nats.

  Args:
    logits: [B, K], the student's.
    teacher: [B, K], the teacher's.
    temperature: softens both.

  Returns:
    [B].

  Source: Hinton et al. 2015, arXiv:1503.02531, Sec. 2.
  """
  predicted = jax.nn.log_softmax(logits / temperature)
  wanted = jax.nn.log_softmax(teacher / temperature)
  return temperature**2 * optax.losses.kl_divergence_with_log_targets(predicted, wanted)


def mean_squared_error(z: jax.Array, target: jax.Array) -> jax.Array:
  """Mean of the squared difference over all but the first axis: [B, ...] twice -> [B]."""
  return jnp.mean(jnp.square(z - target), axis=range(1, z.ndim))
