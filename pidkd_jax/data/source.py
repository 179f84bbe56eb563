"""The record by which a file in this folder offers a dataset."""

import dataclasses

import tensorflow_datasets as tfds


@dataclasses.dataclass(frozen=True)
class Source:
  """A dataset as its file describes it: who builds it and how it is trained on.

  Attributes:
    builder: TFDS builder whose examples have an 'image' and a 'label'. Its `url_infos` names the
      official archive (one URL with size and SHA-256), or is None where none is needed.
    origin: one line that says where the data come from, for reports.
    test: the split that papers report as test.
    padding: pixels of zero padding for the random crop in training.
    flip: whether training flips images at random.
    mean: published per-channel mean of the pixels in [0, 1]; None: computed from the train split.
    std: published per-channel standard deviation, likewise.
  """

  builder: type[tfds.core.GeneratorBasedBuilder]
  origin: str
  padding: int
  flip: bool
  test: str = 'test'
  mean: tuple[float, ...] | None = None
  std: tuple[float, ...] | None = None
