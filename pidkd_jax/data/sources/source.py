"""The record by which a file in this folder offers a dataset."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import tensorflow_datasets as tfds

from pidkd_jax.core.normalisation import Normalisation


@dataclasses.dataclass(frozen=True)
class Source:
  """A dataset as its file describes it: who builds it and how it is trained on.

  Attributes:
    builder: TFDS builder whose examples have an 'image' and a 'label'. Its `url_infos` names the
      official archive (one URL with size and SHA-256), or is None where none is needed.
    origin: one line that says where the data come from, for reports.
    test: the split that papers report as test.
    flip: whether training flips images at random.
    padding: pixels of zero padding for the random crop in training; None: an eighth of the image.
    normalisation: the published one; None to compute it from the training split.
    bind: for images of the user's own: the builder of what lies at a path, under a name of its
      own, brought to an image size (0: as it is); whether all of it has to fit into memory. It
      raises UserError.
  """

  builder: type[tfds.core.GeneratorBasedBuilder]
  origin: str
  flip: bool
  padding: int | None = None
  test: str = 'test'
  normalisation: Normalisation | None = None
  bind: Callable[[Path, int, bool], type[tfds.core.GeneratorBasedBuilder]] | None = None
