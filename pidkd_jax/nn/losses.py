"""Per-example losses that two or more methods use."""

import jax
import jax.numpy as jnp
import optax

from pidkd_jax.nn.precision import to_float32


def cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
  """Softmax cross-entropy in nats: logits [B, K], label int [B] -> [B]."""
  return optax.losses.softmax_cross_entropy_with_integer_labels(logits, label)


def soft_targets(logits: jax.Array, teacher: jax.Array, temperature: float) -> jax.Array:
  """KL(teacher || student) of the classes at `temperature`, times its square, in nats.

  Args:
    logits: [B, K], the student's.
    teacher: [B, K], the teacher's.
    temperature: softens both.

  Returns:
    [B].

  Source: Hinton et al. 2015, arXiv:1503.02531.
  """
  predicted = jax.nn.log_softmax(logits / temperature)
  wanted = jax.nn.log_softmax(teacher / temperature)
  return temperature**2 * optax.losses.kl_divergence_with_log_targets(predicted, wanted)


def standardize(logits: jax.Array) -> jax.Array:
  """Logits of mean 0 and sample variance 1 over the classes: [B, K] -> [B, K].

  Source: Sun et al. 2024, arXiv:2403.01427, Alg. 1, with K - 1 in the variance as in authors'
  code.
  """
  centred = logits - jnp.mean(logits, axis=-1, keepdims=True)
  variance = jnp.sum(jnp.square(centred), axis=-1, keepdims=True) / (logits.shape[-1] - 1)
  # Equal logits have no spread to divide by, and a root has no gradient at zero.
  return centred * jax.lax.rsqrt(variance + 1e-12)


def warm_up(progress: jax.Array, share: float) -> jax.Array:
  """A term's share of its weight while it rises linearly to 1.

  mdistiller does so epoch by epoch, and counts epochs whatever the training's length.

  Args:
    progress: scalar in (0, 1], the share of the training that is done.
    share: of the training in which it rises; 0 for no warm-up.
  """
  return jnp.minimum(progress / jnp.maximum(share, 1e-9), 1.0)


def mean_squared_error(z: jax.Array, target: jax.Array) -> jax.Array:
  """Mean of the squared difference over all but the first axis: [B, ...] twice -> float32 [B]."""
  return jnp.mean(jnp.square(to_float32(z) - to_float32(target)), axis=range(1, z.ndim))
