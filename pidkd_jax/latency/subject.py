"""What is measured: a bundle, or what was made of one for another runtime."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from pidkd_jax.bundles.bundle import Bundle


@dataclasses.dataclass(frozen=True)
class Subject:
  """A network in a file, and the program that answers with it.

  Attributes:
    file: that holds it, in a folder with its card.
    name: as it stands in tables.
    image_shape: (H, W, C).
    top1: its accuracy on the test images, a share; None where nobody measured it.
    command: a module and its arguments; it calls `worker.serve`.
    accelerated: whether it runs on accelerators too.
  """

  file: pathlib.Path
  name: str
  image_shape: tuple[int, int, int]
  top1: float | None
  command: tuple[str, ...]
  accelerated: bool

  @property
  def size(self) -> int:
    """Of the file, bytes."""
    return self.file.stat().st_size


def of_bundle(loaded: Bundle, own: tuple[str, ...] = ()) -> Subject:
  """A bundle, as `pidkd_jax.load` runs it.

  Args:
    loaded: the bundle, checked.
    own: networks of the user's own that it may hold, as 'module:Class'.
  """
  card = loaded.card
  return Subject(
    file=loaded.file,
    name=title(card),
    image_shape=tuple(card['dataset']['image_shape']),
    top1=card.get('results', {}).get('top1'),
    command=(f'{__package__}.bundle', str(loaded.folder), *own),
    accelerated=True,
  )


def title(card: Mapping[str, Any]) -> str:
  """What a card's network is called: how it was trained, and the architecture."""
  words = (card.get('label'), card.get('network', card['model']['family']))
  return ' '.join(word for word in words if word)
