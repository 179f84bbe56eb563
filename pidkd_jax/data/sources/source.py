"""The record with which a file of this folder registers a dataset."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

from pidkd_jax.core.normalisation import Normalisation


@dataclasses.dataclass(frozen=True)
class Source:
  """A registered dataset: its builder, and how training uses its images.

  Attributes:
    builder: a TFDS builder whose examples have an 'image' and a 'label'. Its `url_infos` has the
      official archive (one URL with size and SHA-256), or is None if no archive is needed.
    origin: one line that says where the data come from, for reports.
    flip: whether training mirrors images at random.
    padding: pixels of zero padding for the random crop in training; None for an eighth of the
      shorter side.
    test: the split that papers report as test.
    normalisation: the published statistics; None to compute them from the training split.
    also: other official archives of the same examples, which the builder reads as well.
    derived: whether the official archive is that of another dataset. An archive of the user's own
      then makes datasets whose names say which.
    bind: only for images of the user's own. Takes their path, the side to which they are resized
      (0 for none) and whether all of them have to fit into memory. Returns a builder under a name
      of its own, or raises UserError.
  """

  builder: type[tfds.core.GeneratorBasedBuilder]
  origin: str
  flip: bool
  padding: int | None = None
  test: str = 'test'
  normalisation: Normalisation | None = None
  also: tuple[UrlInfo, ...] = ()
  derived: bool = False
  bind: Callable[[Path, int, bool], type[tfds.core.GeneratorBasedBuilder]] | None = None
