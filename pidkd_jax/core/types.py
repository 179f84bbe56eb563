"""The records that rooms exchange: features, batches and datasets."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import struct

from pidkd_jax.core.normalisation import Normalisation

# Flax variable collections: {'params': ..., 'batch_stats': ...}.
Variables = Mapping[str, Any]


class Features(struct.PyTreeNode):
  """The maps that a network's encoder computes from a batch of images.

  Attributes:
    stages: the maps of the stem and of each stage, each [B, H, W, C].
    preactivations: the same maps before their last activation. Where a stage ends in a raw sum, its
      entry is the output of the next norm.
    target: [B, H, W, C], the map whose spatial mean the classifier reads.
    pooled: float32 [B, C], that mean.
    rectified: whether `target` is behind a ReLU; a projector onto it then ends in a ReLU too.
  """

  stages: tuple[jax.Array, ...]
  preactivations: tuple[jax.Array, ...]
  target: jax.Array
  pooled: jax.Array
  rectified: bool = struct.field(pytree_node=False, default=True)

  @property
  def maps(self) -> tuple[jax.Array, ...]:
    """The maps that methods compare: one of each stage, or the stem's where there is no stage.

    The last map is `target` where the head keeps the stage's shape, as the final norm and ReLU of
    pre-activation networks do. It is the stage's own map where the head does not, as the last
    convolution of MobileNetV2.
    """
    *stages, last = self.stages[1:] or self.stages
    return (*stages, self.target if self.target.shape == last.shape else last)


class Batch(struct.PyTreeNode):
  """One training batch, as the device made it.

  Attributes:
    image: [B, H, W, C], augmented and normalised, of the training's type (`nn.precision`).
    label: int32 [B], the classes; -1 of an image without a label, which only methods see whose
      loss reads no label.
    index: int32 [B], the examples' positions in the training split. Memory banks need them.
    soft: float32 [B, K], the classes' probabilities where the recipe smooths labels or mixes
      images; else None. A mixed image has label and index of its first part.
    larger: the same images at the teacher's size, where that is larger; else None. `image` is
      resampled from it.
  """

  image: jax.Array
  label: jax.Array
  index: jax.Array
  soft: jax.Array | None = None
  larger: jax.Array | None = None

  @property
  def seen(self) -> jax.Array:
    """What the teacher sees: `larger`, or `image` where there is none."""
    return self.image if self.larger is None else self.larger

  @property
  def target(self) -> jax.Array:
    """What a cross-entropy takes: `soft`, or `label` where there is none."""
    return self.label if self.soft is None else self.soft


# Specs are compared by identity: the labels are an array, and a run has one training split.
@dataclasses.dataclass(frozen=True, eq=False)
class DatasetSpec:
  """All that describes a dataset except its images.

  Attributes:
    name: the name in tables and bundles; an unverified archive has a name of its own.
    format: the registered dataset, or the one whose format the archive has.
    archive: the user's own archive, or ''.
    source: one line that says where the data came from, for reports.
    class_names: K names, in the order of the labels.
    labels: int32 [N], the labels of the training split; -1 where there is none. Memory banks need
      them.
    image_shape: (H, W, C).
    normalisation: per-channel statistics of the pixels scaled to [0, 1].
    padding: pixels of zero padding for the random crop in training.
    flip: whether training flips images at random (digits and letters must not be).
    fingerprint: SHA-256 (hex) of the training and test arrays. A resumed run and an evaluation
      check by it that they see the same data.
    image_size: the side to which images are scaled and cut; 0 if they keep the dataset's own size.
    crop_ratio: the share of a stored image's side that evaluation keeps.
    teacher_size: the side of the images that the teacher sees, where it is larger than that of the
      students; else 0.
    bits: the bits that the values of its images of 16 bits need; 0 if it has none.
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
  crop_ratio: float = 1.0
  teacher_size: int = 0
  bits: int = 0

  @property
  def teacher_shape(self) -> tuple[int, int, int]:
    """(H, W, C) of the images that the teacher sees."""
    height, width, channels = self.image_shape
    return (self.teacher_size or height, self.teacher_size or width, channels)

  @property
  def num_classes(self) -> int:
    return len(self.class_names)

  @property
  def num_examples(self) -> int:
    return len(self.labels)
