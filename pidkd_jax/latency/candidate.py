"""A network to measure: a bundle, or an export of one for another runtime."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from pidkd_jax.bundles.bundle import Bundle


@dataclasses.dataclass(frozen=True)
class Candidate:
  """A network in a file, and the program that runs it.

  Attributes:
    file: the file with the network, in a folder with its card.
    name: its name in tables.
    image_shape: (H, W, C).
    top1: accuracy on the test images, in [0, 1]; None if its card has none.
    command: a module that calls `worker.serve`, and the module's arguments.
    accelerated: whether it also runs on accelerators.
    data: stands for the images and the classes that `top1` is of.
  """

  file: pathlib.Path
  name: str
  image_shape: tuple[int, int, int]
  top1: float | None
  command: tuple[str, ...]
  accelerated: bool
  data: str = ''

  @property
  def size(self) -> int:
    """Size of the file, in bytes."""
    return self.file.stat().st_size


def from_bundle(bundle: Bundle, own: tuple[str, ...] = ()) -> Candidate:
  """Return a bundle as a candidate, run as `pidkd_jax.load` runs it.

  Args:
    bundle: the loaded bundle.
    own: models of the user's own that the bundle may contain, as 'module:Class'.
  """
  card = bundle.card
  return Candidate(
    file=bundle.file,
    name=display_name(card),
    image_shape=tuple(card['dataset']['image_shape']),
    top1=card.get('results', {}).get('top1'),
    command=(f'{__package__}.bundle', str(bundle.folder), *own),
    accelerated=True,
    data=data_of(card),
  )


def data_of(card: Mapping[str, Any]) -> str:
  """Return what stands for the images and the classes of a card's results."""
  facts = card['dataset']
  return json.dumps([facts.get('fingerprint') or facts.get('name'), facts.get('class_names')])


def comparable(candidates: Sequence[Candidate]) -> list[Candidate]:
  """Return the candidates, without accuracies if those are not of the same images and classes."""
  if len({one.data for one in candidates if one.top1 is not None}) < 2:
    return list(candidates)
  return [dataclasses.replace(one, top1=None) for one in candidates]


def display_name(card: Mapping[str, Any]) -> str:
  """Return a network's name in tables: its label, if it has one, and its architecture."""
  words = (card.get('label'), card.get('network', card['model']['family']))
  return ' '.join(word for word in words if word)
