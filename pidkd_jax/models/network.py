"""A model with its variables, and a frozen teacher's outputs on a batch."""

import functools
from typing import cast

import jax
import jax.numpy as jnp
from flax import struct, traverse_util

from pidkd_jax.core.types import Features, Variables
from pidkd_jax.models.base import Model


class Network(struct.PyTreeNode):
  """A model with its variables, to deploy, save, evaluate or teach from.

  Attributes:
    variables: the model's Flax variables.
    model: the module.

  Example:
    >>> from pidkd_jax import models
    >>> model, images = models.create('resnet8', num_classes=10), jax.numpy.ones((4, 32, 32, 3))
    >>> network = Network(jax.jit(model.init)(jax.random.key(0), images), model)
    >>> features = network.encode(images)
    >>> network.classify(features.pooled).shape
    (4, 10)
  """

  variables: Variables
  model: Model = struct.field(pytree_node=False)

  @classmethod
  def shapes(cls, model: Model, image_shape: tuple[int, int, int]) -> 'Network':
    """Return a network with its variables' shapes in place of arrays; nothing is computed.

    Args:
      model: the module.
      image_shape: (H, W, C) of an image.
    """
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    return cls(cast(Variables, jax.eval_shape(model.init, jax.random.key(0), image)), model)

  def encode(self, image: jax.Array) -> Features:
    """Return the features of images [B, H, W, C], computed in inference mode."""
    return cast(Features, self.model.apply(self.variables, image, method='encode'))

  def classify(self, pooled: jax.Array) -> jax.Array:
    """Return the logits [..., K] of pooled features [..., C]; differentiable in `pooled`."""
    return cast(jax.Array, self.model.apply(self.variables, pooled, method='classify'))

  def classifier(self, pooled: jax.Array | jax.ShapeDtypeStruct) -> Variables:
    """Return the variables that `classify` reads, for `pooled` [B, C] or its shape."""
    init = functools.partial(self.model.init, method='classify')
    used = traverse_util.flatten_dict(jax.eval_shape(init, jax.random.key(0), pooled))
    held = traverse_util.flatten_dict(self.variables)
    return traverse_util.unflatten_dict({path: held[path] for path in used})


class TeacherOutputs(struct.PyTreeNode):
  """The outputs of the frozen teacher on one batch.

  Attributes:
    network: the teacher itself.
    features: its features of the batch.
    logits: [B, K], its logits of the batch.
  """

  network: Network
  features: Features
  logits: jax.Array
