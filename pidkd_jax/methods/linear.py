"""No projector: a linear map onto the teacher's feature, fused with the teacher's classifier.

Loss: weight * mean (W f_s + b - f_t)^2 / mean f_t^2 + divergence_weight * KD, where f are pooled
features and KD compares the logits that the teacher's classifier gives both.

A linear map commutes with the spatial mean that the classifier reads, so the means are enough to
train it. Two linear layers in a row are one. So the student is deployed as it is, with W_c W and
W_c b + b_c in its own classifier.

Source: this package, to condense a distilled student (docs/lab/deployment.md).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Variables
from pidkd_jax.methods.base import Method, subtree
from pidkd_jax.models.base import Model
from pidkd_jax.models.network import Network
from pidkd_jax.nn import layers, losses
from pidkd_jax.nn.precision import to_float32

# A parameter's place among a model's variables.
_Path = tuple[str, ...]


class Linear(Method):
  """A linear map of the student's pooled feature imitates the teacher's, and so do its logits.

  It uses no labels.

  Attributes:
    weight: of the squared error in units of the target's mean square, as in PIDKD.
    divergence_weight: of the KL divergence. Against 0, a weight of 1 gains 0.9 points on digits
      and none on TIN-100/20 (docs/lab/deployment.md).
    temperature: of the divergence.
    student_rate: a factor on the student's learning rate; 0 freezes its weights.
  """

  weight: float = 30.0
  divergence_weight: float = 1.0
  temperature: float = 4.0
  student_rate: float = 1.0

  needs_labels = False

  def rates(self):
    return {'student': self.student_rate}

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    del progress
    pooled = self.student.encode(batch.image, train=True).pooled
    # These raise, before the training, where `deployed` could not fuse the classifiers.
    student_classifier(self.student, pooled.shape[-1])
    _teacher_classifier(teacher.network, self.target.pooled)
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
    assert teacher is not None  # As `needs_teacher` is True.
    first = variables['params']['map']
    second = _teacher_classifier(teacher, self.target.pooled)
    product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    fused = {
      'kernel': product(first['kernel'], second['kernel']),
      'bias': product(first['bias'], second['kernel']) + second.get('bias', 0),
    }
    student: dict[_Path, Any] = traverse_util.flatten_dict(subtree(variables, 'student'))
    for leaf, path in student_classifier(self.student, len(first['kernel'])).items():
      student['params', *path] = fused[leaf]
    return Network(traverse_util.unflatten_dict(student), self.student)


def student_classifier(student: Model, channels: int) -> dict[str, _Path]:
  """Return the places of the student's classifier in 'params', {'kernel': path, 'bias': path}.

  Raises:
    UserError: it is not one linear layer with a bias.
  """
  pooled = jax.ShapeDtypeStruct((1, channels), jnp.float32)
  init = functools.partial(student.clone(parent=None).init, method='classify')
  shapes = jax.eval_shape(init, jax.random.key(0), pooled)
  paths = {path[-1]: path for path in _linear_layer(shapes, channels, student)}
  if 'bias' not in paths:
    raise UserError(
      f'the classifier of {type(student).__name__} has no bias to hold that of the fused '
      'classifier; give it one, or take another method'
    )
  return paths


def _teacher_classifier(teacher: Network, pooled: jax.Array) -> dict[str, jax.Array]:
  """Return the teacher's classifier: its kernel [C_t, K] and, where it has one, its bias [K].

  Args:
    teacher: the network.
    pooled: its pooled feature [B, C_t], or the feature's shape.

  Raises:
    UserError: it is not one linear layer.
  """
  params = _linear_layer(teacher.classifier(pooled), pooled.shape[-1], teacher.model)
  return {path[-1]: leaf for path, leaf in params.items()}


def _linear_layer(variables: Variables, channels: int, model: Model) -> dict[_Path, jax.Array]:
  """Return the parameters of a classifier by path; raise if it is not one linear layer."""
  params: dict[_Path, Any] = traverse_util.flatten_dict(variables.get('params', {}))
  shapes = {path[-1]: leaf.shape for path, leaf in params.items()}
  expected = {'kernel': (channels, model.num_classes), 'bias': (model.num_classes,)}
  if len(shapes) < len(params) or shapes not in (expected, {'kernel': expected['kernel']}):
    raise UserError(
      f'the classifier of {type(model).__name__} is not one linear layer of {channels} features, '
      'so no linear map can be fused with it; take another method'
    )
  return params


METHODS = {'linear': Linear}
