"""The base class of export formats."""

import abc
import pathlib
from collections.abc import Callable

import numpy as np

from pidkd_jax.export.deployable import Deployable

# Images [B, H, W, C], as `Deployable.prepare` returns them -> logits [B, K].
Runner = Callable[[np.ndarray], np.ndarray]


class Format(abc.ABC):
  """A file format for a runtime other than this package's training.

  The contract between a format and `export`:

  - `write` writes one file. It may take any batch size B, and leaves nothing else behind.
  - `load` runs that file by its own runtime, from what the file holds. `export` compares the result
    with the bundle's logits on every test image, and keeps the file only if they agree.
  - `example` computes the same in a script beside the file, which users run and edit.
  - Modules of other libraries are imported within these methods, so that names and `--help` need
    none of them.

  Attributes:
    file: name of the file.
    modules: modules without which the file is neither written nor run. `core.extras` knows the
      extra that installs each.
    distributions: distributions whose versions the card records.
    example: Python source for example.py: imports, two empty lines, and a function `run(images)`
      that returns logits. '{file}' stands for the file's name, and '{own}' for a second argument
      of `models.build`: the network's classes of the user's own. Literal braces are doubled.
    exact: whether logits are the bundle's within `verification.TOLERANCE`. Those of another format
      may cost top-1, up to a limit that the caller sets.
    executable: whether the file holds the computation, which may then include normalisation.
    imported: whether it can hold a network that was imported as StableHLO (`models.exported`).
  """

  file: str
  modules: tuple[str, ...]
  distributions: tuple[str, ...]
  example: str
  exact: bool = True
  executable: bool = True
  imported: bool = False

  @abc.abstractmethod
  def write(self, deployable: Deployable, path: pathlib.Path) -> None:
    """Write a network to a file.

    Args:
      deployable: the function from images to logits.
      path: the file.

    Raises:
      UserError: The format cannot express the network.
    """

  @abc.abstractmethod
  def load(self, path: pathlib.Path, deployable: Deployable) -> Runner:
    """Return a function that runs the file by its own runtime.

    Args:
      path: the file.
      deployable: the function that the file was written from. A format that is not `executable`
        takes the architecture from it.
    """
