"""How figures treat text, and how they are saved."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

# Without date and version, equal figures make equal files.
_SAVEFIG_OPTIONS: dict[str, Any] = {
  'dpi': 130,
  'bbox_inches': 'tight',
  'metadata': {'Software': None},
}


@contextlib.contextmanager
def literal_text() -> Iterator[None]:
  """Let Matplotlib show text as it is, so that '$' begins no formula; also a decorator.

  Labels and names of classes are the user's, and may have any characters. A text keeps what was
  set when it was made. Some texts are made while a figure is saved, so `save` enters it, too.
  """
  with matplotlib.rc_context({'text.parse_math': False}):
    yield


def save(figure: Figure, path: pathlib.Path) -> None:
  """Write a figure as PNG."""
  with literal_text():
    figure.savefig(path, **_SAVEFIG_OPTIONS)


def legend(axes: Axes, handles: list[Any], names: list[str], **options: Any) -> Legend:
  """Add a legend with any names; Matplotlib by itself leaves out names that begin with '_'."""
  result = axes.legend(handles, [str(i) for i in range(len(names))], **options)
  for text, name in zip(result.get_texts(), names, strict=True):
    text.set_text(name)
  return result
