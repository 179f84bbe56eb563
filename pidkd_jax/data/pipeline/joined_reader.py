"""Random access to the examples of two prepared splits as one."""

import dataclasses

import numpy as np

from pidkd_jax.data.pipeline.example_reader import ExampleReader


@dataclasses.dataclass(frozen=True, eq=False)
class JoinedReader(ExampleReader):
  """Reads the examples of two splits, whose images have one shape.

  Positions count through the first split, then through the second.

  Attributes:
    second: reads the second split.
  """

  second: ExampleReader

  def read(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = len(self.split)
    images, labels = super().read(np.where(index < size, index, -1))
    rows = np.flatnonzero(index >= size)
    images[rows], labels[rows] = self.second.read(index[rows] - size)
    return images, labels
