"""A frozen network whose encoder is a function in StableHLO, such as an imported one of PyTorch."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Features
from pidkd_jax.models import exported_function
from pidkd_jax.models.base import Model, pool
from pidkd_jax.nn.layers import Classifier


class Exported(Model):
  """An encoder in StableHLO, and a linear classifier of this package.

  It predicts and teaches, and it cannot be trained. The encoder computes in float32 and returns
  maps of the images' type: those of the stages, and at last the target map. Only the encoder needs
  the function, so a student that shares the classifier does not.

  Attributes:
    function: digest of the function, which `exported_function` knows once its bundle is loaded.
    target_rectified: whether the target map is behind a ReLU.
    multiply_adds: of the encoder for one image, as counted when it was imported.
  """

  function: str
  target_rectified: bool
  multiply_adds: int

  def setup(self):
    self.encoder = _Encoder(self.function)
    self.classifier = Classifier(self.num_classes)

  @property
  def rectified(self) -> bool:
    return self.target_rectified

  @property
  def untraced_multiply_adds(self) -> int:
    return self.multiply_adds

  def trunk(self, image, train):
    stages = self.encode(image, train).stages
    return stages, stages

  def encode(self, image: jax.Array, train: bool = False) -> Features:
    if train:
      raise UserError(
        'an imported PyTorch network is frozen: it teaches and predicts, and cannot be trained; '
        'name another student'
      )
    *maps, target = self.encoder(image)
    stages = tuple(maps) or (target,)
    return Features(stages, stages, target, pool(target), self.target_rectified)

  def classify(self, pooled: jax.Array) -> jax.Array:
    return self.classifier(pooled)


class _Encoder(nn.Module):
  """The function with its weights as variables, created when it is first called."""

  function: str

  @nn.compact
  def __call__(self, image: jax.Array) -> tuple[jax.Array, ...]:
    function = exported_function.find(self.function)
    if image.shape[1:] != function.image_shape:
      wanted, given = ('x'.join(map(str, s)) for s in (function.image_shape, image.shape[1:]))
      raise UserError(
        f'the imported network is for images of {wanted}, and these are {given}; take images of '
        'that size, or import it anew at this one'
      )
    params, buffers = (function.variables[name] for name in exported_function.COLLECTIONS)
    variables = {
      'params': {name: self.param(name, _zeros, leaf) for name, leaf in params.items()},
      'buffers': {
        name: self.variable('buffers', name, jnp.zeros, leaf.shape, leaf.dtype).value
        for name, leaf in buffers.items()
      },
    }
    # JAX has no rule for `vmap` over such a function.
    call = jax.custom_batching.sequential_vmap(function.exported.call)
    maps = call(variables, image.astype(jnp.float32))
    return tuple(each.astype(image.dtype) for each in maps)


def _zeros(key: jax.Array, leaf: jax.ShapeDtypeStruct) -> jax.Array:
  del key
  return jnp.zeros(leaf.shape, leaf.dtype)
