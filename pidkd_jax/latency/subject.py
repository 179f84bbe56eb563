"""What is measured: a bundle, or what was made of one for another runtime."""

import dataclasses
import pathlib

from pidkd_jax.bundle import Bundle


@dataclasses.dataclass(frozen=True)
class Subject:
  """A folder that holds a network, and the program that answers with it.

  Attributes:
    folder: where it lies.
    name: as it stands in tables.
    image_shape: (H, W, C).
    top1: its accuracy on the test images, a share; None where nobody measured it.
    command: a module and its arguments; it calls `worker.serve`.
    accelerated: whether it runs on accelerators too.
  """

  folder: pathlib.Path
  name: str
  image_shape: tuple[int, int, int]
  top1: float | None
  command: tuple[str, ...]
  accelerated: bool

  @property
  def size(self) -> int:
    """Bytes of the folder's files."""
    return sum(path.stat().st_size for path in self.folder.rglob('*') if path.is_file())


def of_bundle(loaded: Bundle, own: tuple[str, ...] = ()) -> Subject:
  """A bundle, as `pidkd_jax.load` runs it.

  Args:
    loaded: the bundle, checked.
    own: networks of the user's own that it may hold, as 'module:Class'.
  """
  card = loaded.card
  words = (card.get('label'), card.get('network', card['model']['family']))
  return Subject(
    folder=loaded.folder,
    name=' '.join(word for word in words if word),
    image_shape=tuple(card['dataset']['image_shape']),
    top1=card.get('results', {}).get('top1'),
    command=(f'{__package__}.bundle', str(loaded.folder), *own),
    accelerated=True,
  )
