"""The few records that cross the borders between modules."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from flax import struct, traverse_util

from pidkd_jax.core.normalisation import Normalisation

# A Flax variable collection tree: {'params': ..., 'batch_stats': ...}.
Variables = dict[str, Any]


@struct.dataclass
class Features:
  """What a network's encoder computes from a batch of images.

  Attributes:
    stages: the stem's and each stage's map, each [B, H, W, C].
    preactivations: the same maps before their last activation; of raw sums what the next norm makes
      of them.
    target: [B, H, W, C], the map whose spatial mean the classifier reads.
    pooled: float32 [B, C], that mean.
    rectified: whether `target` is behind a ReLU, so that a projector onto it ends in one.
  """

  stages: tuple[jax.Array, ...]
  preactivations: tuple[jax.Array, ...]
  target: jax.Array
  pooled: jax.Array
  rectified: bool = struct.field(pytree_node=False, default=True)

  @property
  def maps(self) -> tuple[jax.Array, ...]:
    """The stages' maps without the stem's (unless it is all), the last as methods compare it.

    That is the target where the head keeps the shape (the final norm and ReLU of pre-activation
    networks), and the stage itself where it does not (the last convolution of MobileNetV2).
    """
    *stages, last = self.stages[1:] or self.stages
    return (*stages, self.target if self.target.shape == last.shape else last)


@struct.dataclass
class Batch:
  """One training batch, as the device made it.

  Attributes:
    image: [B, H, W, C], augmented and normalised, in the training's type (`precision`).
    label: int32 [B].
    index: int32 [B], each example's place in the training split (memory banks need it).
  """

  image: jax.Array
  label: jax.Array
  index: jax.Array


@struct.dataclass
class Network:
  """A model with its variables: what is deployed, saved, evaluated and taught from."""

  variables: Variables
  model: nn.Module = struct.field(pytree_node=False)

  def encode(self, image: jax.Array) -> Features:
    """The encoder in inference mode, [B, H, W, C] -> Features."""
    return self.model.apply(self.variables, image, method='encode')

  def classify(self, pooled: jax.Array) -> jax.Array:
    """The classifier, [..., C] -> logits [..., K]; differentiable in `pooled`."""
    return self.model.apply(self.variables, pooled, method='classify')

  def classifier(self, pooled: jax.Array) -> Variables:
    """The part of the variables that `classify` reads, for `pooled` (or its shape) [B, C]."""
    init = functools.partial(self.model.init, method='classify')
    used = traverse_util.flatten_dict(jax.eval_shape(init, jax.random.key(0), pooled))
    held = traverse_util.flatten_dict(self.variables)
    return traverse_util.unflatten_dict({path: held[path] for path in used})


@struct.dataclass
class TeacherOutputs:
  """The frozen teacher's view of one batch.

  Attributes:
    network: the teacher itself.
    features: its Features of the batch.
    logits: [B, K] of the batch.
  """

  network: Network
  features: Features
  logits: jax.Array


# Compared by identity: its labels are an array, and one run has one training split.
@dataclasses.dataclass(frozen=True, eq=False)
class DatasetSpec:
  """What is known of a dataset beyond its pixels.

  Attributes:
    name: as it stands in tables and bundles; an unverified archive has a name of its own.
    format: the registered dataset that it is, or in whose format its archive was.
    archive: the user's own archive, or ''.
    source: one line that says where the data came from, for reports.
    class_names: K names, in the order of the labels.
    labels: int32 [N], the training split's labels (memory banks need them).
    image_shape: (H, W, C).
    normalisation: per-channel statistics of the pixels scaled to [0, 1].
    padding: pixels of zero padding for the random crop in training.
    flip: whether training flips images at random (digits and letters must not be).
    fingerprint: SHA-256 (hex) of the training and test arrays, by which a run that
      goes on, and an evaluation, make sure that they see the same data.
    image_size: the side that images of the user's own were brought to; 0: the images' own.
  """

  name: str
  format: str
  archive: str
  source: str
  class_names: tuple[str, ...]
  labels: np.ndarray
  image_shape: tuple[int, int, int]
  normalisation: Normalisation
  padding: int
  flip: bool
  fingerprint: str
  image_size: int = 0

  @property
  def num_classes(self) -> int:
    return len(self.class_names)

  @property
  def num_examples(self) -> int:
    return len(self.labels)
