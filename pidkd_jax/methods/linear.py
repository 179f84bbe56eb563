"""No projector: a linear map onto the teacher's feature, folded into the teacher's classifier.

A linear map commutes with the spatial mean that the classifier reads, so it is trained on the means
and needs none of the maps. Two linear layers in a row are one, so what is deployed is the student
as it is, with W_c W_l and W_c b_l + b_c in its classifier's place.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Network, Variables
from pidkd_jax.methods.base import Method, subtree
from pidkd_jax.models.base import Model
from pidkd_jax.nn import layers, losses
from pidkd_jax.nn.precision import to_float32

_Path = tuple[str, ...]


class Linear(Method):
  """The linear map of the student's pooled feature imitates the teacher's, and so do its logits.

  No labels are used.

  Attributes:
    weight: of the squared error, in units of the feature's mean square, as PIDKD has it.
    divergence_weight: of the KL divergence of what the shared classifier makes of both; beside 0,
      1 won 0.9 points on the digits and none on TIN-100/20 (docs/lab/deployment.md).
    temperature: of the divergence.
    student_rate: what multiplies the learning rate of the student; 0 freezes its weights.
  """

  weight: float = 30.0
  divergence_weight: float = 1.0
  temperature: float = 4.0
  student_rate: float = 1.0

  def rates(self):
    return {'student': self.student_rate}

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    del progress
    pooled = self.student.encode(batch.image, train=True).pooled
    _own(self.student, pooled.shape[-1])
    _shared(teacher.network, self.target.pooled)
    target = to_float32(teacher.features.pooled)
    mapped = layers.linear(target.shape[-1], pooled.shape[-1], name='map')(pooled)
    error = losses.mean_squared_error(mapped, target) / jnp.mean(jnp.square(target))
    logits = teacher.network.classify(mapped)
    divergence = losses.soft_targets(logits, teacher.logits, self.temperature)
    return {
      'feature': self.weight * error,
      'soft_target': self.divergence_weight * divergence,
    }

  @nn.nowrap
  def deployed(self, variables, teacher):
    first, second = variables['params']['map'], _shared(teacher, self.target.pooled)
    product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    folded = {
      'kernel': product(first['kernel'], second['kernel']),
      'bias': product(first['bias'], second['kernel']) + second.get('bias', 0),
    }
    student = traverse_util.flatten_dict(subtree(variables, 'student'))
    for leaf, path in _own(self.student, len(first['kernel'])).items():
      student['params', *path] = folded[leaf]
    return Network(traverse_util.unflatten_dict(student), self.student)


def _own(student: Model, channels: int) -> dict[str, _Path]:
  """Where the student keeps its classifier's kernel and bias, in 'params'."""
  pooled = jax.ShapeDtypeStruct((1, channels), jnp.float32)
  init = functools.partial(student.clone(parent=None).init, method='classify')
  shapes = jax.eval_shape(init, jax.random.key(0), pooled)
  paths = {path[-1]: path for path in _linear(shapes, channels, student)}
  if 'bias' not in paths:
    raise UserError(
      f'the classifier of {type(student).__name__} has no bias, into which that of the teacher '
      'could be folded; give it one, or take another method'
    )
  return paths


def _shared(teacher: Network, pooled: jax.ShapeDtypeStruct) -> dict[str, jax.Array]:
  """Kernel [C_t, K] and, where it has one, bias [K] of the teacher's classifier."""
  found = _linear(teacher.classifier(pooled), pooled.shape[-1], teacher.model)
  return {path[-1]: leaf for path, leaf in found.items()}


def _linear(variables: Variables, channels: int, model: Model) -> dict[_Path, jax.Array]:
  """The parameters of a classifier, if it is one linear layer."""
  found = traverse_util.flatten_dict(variables['params'])
  shapes = {path[-1]: leaf.shape for path, leaf in found.items()}
  expected = {'kernel': (channels, model.num_classes), 'bias': (model.num_classes,)}
  if len(shapes) < len(found) or shapes not in (expected, {'kernel': expected['kernel']}):
    raise UserError(
      f'the classifier of {type(model).__name__} is not one linear layer of {channels} features, '
      'so no linear map can be folded into it; take another method'
    )
  return found


METHODS = {'linear': Linear}
