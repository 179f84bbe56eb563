"""PIDKD with further terms, tried in one study. None won, so they are no options of the package.

docs/lab/results.md (Other ways to integrate) has the command and the figures.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.methods.pidkd import PIDKD
from pidkd_jax.methods.wide import Wide
from pidkd_jax.nn import losses
from pidkd_jax.nn.precision import to_float32


class Lead(PIDKD):
  """PIDKD's loss on the mean of the projectors, and what may make several pay.

  Attributes:
    logit: weight of the squared error of the teacher's classifier's centred logits, in units of
      the teacher's mean square.
    each: share of the loss that is taken on each projector in place of their mean. The two differ
      by the projectors' disagreement, so 1 - each is the strength of negative correlation learning
      (Liu and Yao 1999).
    subset: whether each image leaves out one projector at random.
  """

  logit: float = 0.0
  each: float = 0.0
  subset: bool = False

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    del progress
    stack, z, target = self.projection(batch, teacher)
    maps, target = to_float32(stack.outputs(z, train=True)), to_float32(target)
    q = len(maps)
    mean = jnp.mean(maps, 0)
    if self.subset:
      out = jax.random.randint(self.make_rng('method'), (maps.shape[1],), 0, q)
      kept = 1 - jax.nn.one_hot(out, q, axis=0)  # [q, B]
      mean = jnp.sum(maps * kept[:, :, None, None, None], 0) / (q - 1)
    single = jnp.mean(jax.vmap(losses.mean_squared_error, (0, None))(maps, target), axis=0)
    error = (1 - self.each) * losses.mean_squared_error(mean, target) + self.each * single
    ours = _centred(teacher.network.classify(jnp.mean(mean, (1, 2))))
    theirs = _centred(teacher.logits)
    logit = jnp.mean(jnp.square(ours - theirs), -1) / jnp.mean(jnp.square(theirs))
    return {
      'feature': self.weight * error / jnp.mean(jnp.square(target)),
      'logit': self.logit * logit,
    }


class WideLead(Wide, Lead):
  """One projector of the stack's size, under the same terms."""


def _centred(logits: jax.Array) -> jax.Array:
  return logits - jnp.mean(logits, -1, keepdims=True)
