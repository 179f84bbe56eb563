"""Decoupled knowledge distillation: the divergence in two parts with weights of their own.

Source: Zhao et al. 2022, arXiv:2203.08679.
"""

import jax
import jax.numpy as jnp
import optax

from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses


class DKD(Method):
  """Divergence of the true class against all others, and of the others among themselves.

  Attributes:
    alpha: of the true class against the others (TCKD); 1 in mdistiller, which is authors' code.
    beta: of the others among themselves (NCKD); 8 for resnet32x4 -> resnet8x4. Authors choose it
      by pair: 2 for resnet56 -> resnet20, 6 for wrn_40_2 -> wrn_16_2 (mdistiller's configs).
    label_weight: of the cross-entropy; 1 likewise.
    temperature: 4 likewise.
    warmup: share of the training in which alpha and beta rise linearly to their full size; 20 of
      240 epochs likewise.
    standardize: whether both logits are standardised first (`losses.standardize`).
  """

  alpha: float = 1.0
  beta: float = 8.0
  label_weight: float = 1.0
  temperature: float = 4.0
  warmup: float = 20 / 240
  standardize: bool = False

  def loss(self, batch, teacher, *, progress):
    logits = self.student(batch.image, train=True)
    compared = (logits, teacher.logits)
    if self.standardize:
      compared = tuple(map(losses.standardize, compared))
    tckd, nckd = decoupled(*compared, batch.label, self.temperature)
    ramp = losses.warm_up(progress, self.warmup)
    return {
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.label),
      'tckd': ramp * self.alpha * tckd,
      'nckd': ramp * self.beta * nckd,
    }


class StandardizedDKD(DKD):
  """The same of standardised logits, which are small (arXiv:2403.01427).

  Attributes:
    alpha: 9 in its authors' script, nine times what they take without; in its first version, by two
      slips, 9 and 81 at temperature 4.
    beta: 72 likewise.
    temperature: 2 likewise.
  """

  alpha: float = 9.0
  beta: float = 72.0
  temperature: float = 2.0
  standardize: bool = True


def decoupled(
  logits: jax.Array, teacher: jax.Array, label: jax.Array, temperature: float
) -> tuple[jax.Array, jax.Array]:
  """TCKD and NCKD, each times the square of the temperature, in nats.

  Args:
    logits: [B, K], the student's.
    teacher: [B, K], the teacher's.
    label: int [B].
    temperature: softens both.

  Returns:
    [B] and [B].
  """
  is_other = jnp.arange(logits.shape[-1]) != label[:, None]

  def split(logits):
    log_p = jax.nn.log_softmax(logits / temperature)
    log_true = jnp.take_along_axis(log_p, label[:, None], axis=-1)
    log_rest = jax.nn.logsumexp(log_p, axis=-1, keepdims=True, where=is_other)
    # Zero at the true class, in student and teacher alike, so that it adds nothing to NCKD.
    among = jnp.where(is_other, log_p - log_rest, 0.0)
    return jnp.concatenate([log_true, log_rest], axis=-1), among

  parts = zip(split(logits), split(teacher), strict=True)
  tckd, nckd = (optax.losses.kl_divergence_with_log_targets(*part) for part in parts)
  return temperature**2 * tckd, temperature**2 * nckd


METHODS = {'dkd': DKD, 'dkd_standardized': StandardizedDKD}
