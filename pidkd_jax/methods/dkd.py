"""Decoupled knowledge distillation: the KL divergence in two parts with a weight for each.

TCKD compares the true class with all others; NCKD compares the others among themselves.

Loss: label_weight * CE + w T^2 (alpha TCKD + beta NCKD), where w rises to 1 within `warmup`.

Source: Zhao et al. 2022, arXiv:2203.08679. Logit standardisation: Sun et al. 2024,
arXiv:2403.01427.

Departure: the authors' warm-up is 20 epochs, whatever the length of the training. Here it is a
share of the training.
"""

import jax
import jax.numpy as jnp
import optax

from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses


class DKD(Method):
  """Decoupled knowledge distillation.

  The defaults are those of mdistiller, the authors' code, for resnet32x4 -> resnet8x4.

  Attributes:
    alpha: the weight of TCKD, the true class against the others.
    beta: the weight of NCKD, the others among themselves. The authors choose it by pair: 2 for
      resnet56 -> resnet20, 6 for wrn_40_2 -> wrn_16_2 (mdistiller's configs).
    label_weight: of the cross-entropy.
    temperature: T, divides both logits.
    warmup: the share of the training in which alpha and beta rise linearly from 0; 20 of 240
      epochs.
    standardize: whether both logits are standardised first (`losses.standardize`). It needs three
      classes.
  """

  alpha: float = 1.0
  beta: float = 8.0
  label_weight: float = 1.0
  temperature: float = 4.0
  warmup: float = 20 / 240
  standardize: bool = False

  def loss(self, batch, teacher, *, progress):
    logits = self.student(batch.image, train=True)
    student, target = logits, teacher.logits
    if self.standardize:
      student, target = map(losses.standardize, (student, target))
    tckd, nckd = decoupled(student, target, batch.label, self.temperature)
    ramp = losses.warm_up(progress, self.warmup)
    return {
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.target),
      'tckd': ramp * self.alpha * tckd,
      'nckd': ramp * self.beta * nckd,
    }


class StandardizedDKD(DKD):
  """DKD of standardised logits, which are small and so have larger weights.

  The defaults are those of the authors' script (arXiv:2403.01427): nine times their weights
  without standardisation. The script's first version has, by two slips, 9 and 81 at temperature 4.

  Attributes:
    alpha: the weight of TCKD.
    beta: the weight of NCKD.
    temperature: T.
  """

  alpha: float = 9.0
  beta: float = 72.0
  temperature: float = 2.0
  standardize: bool = True


def decoupled(
  logits: jax.Array, teacher: jax.Array, label: jax.Array, temperature: float
) -> tuple[jax.Array, jax.Array]:
  """Compute TCKD and NCKD, each times the square of the temperature, in nats.

  Args:
    logits: [B, K], the student's.
    teacher: [B, K], the teacher's.
    label: int [B], the true classes.
    temperature: divides both logits.

  Returns:
    (tckd, nckd), each [B].
  """
  is_other = jnp.arange(logits.shape[-1]) != label[:, None]

  def split(logits):
    log_p = jax.nn.log_softmax(logits / temperature)
    log_true = jnp.take_along_axis(log_p, label[:, None], axis=-1)
    log_rest = jax.nn.logsumexp(log_p, axis=-1, keepdims=True, where=is_other)
    # Zero at the true class in student and teacher, so that it adds nothing to NCKD.
    log_others = jnp.where(is_other, log_p - log_rest, 0.0)
    return jnp.concatenate([log_true, log_rest], axis=-1), log_others

  parts = zip(split(logits), split(teacher), strict=True)
  tckd, nckd = (optax.losses.kl_divergence_with_log_targets(*part) for part in parts)
  return temperature**2 * tckd, temperature**2 * nckd


METHODS = {'dkd': DKD, 'dkd_standardized': StandardizedDKD}
