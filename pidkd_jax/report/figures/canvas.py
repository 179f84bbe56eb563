"""How figures treat text, and how they are saved."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

# Without date and version, equal figures make equal files.
_SAVEFIG_OPTIONS: dict[str, Any] = {
  'dpi': 130,
  'bbox_inches': 'tight',
  'metadata': {'Software': None},
}


@dataclasses.dataclass(frozen=True)
class Box:
  """A place in a figure, in inches from its lower left corner.

  Attributes:
    left: of the left side.
    bottom: of the lower side.
    width: of the box.
    height: of the box.
  """

  left: float
  bottom: float
  width: float
  height: float

  def of(self, figure: Figure) -> tuple[float, float, float, float]:
    """Return the place in shares of a figure, as `Figure.add_axes` takes it."""
    width, height = figure.get_size_inches()
    return self.left / width, self.bottom / height, self.width / width, self.height / height


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


def legend(place: Axes | Figure, handles: list[Any], names: list[str], **options: Any) -> Legend:
  """Add a legend with any names; Matplotlib by itself leaves out names that begin with '_'."""
  result = place.legend(handles, [str(i) for i in range(len(names))], **options)
  for text, name in zip(result.get_texts(), names, strict=True):
    text.set_text(name)
  return result


def shorten(text: Text, width: float) -> None:
  """Cut the end of a text that is wider than some inches."""
  figure = text.get_figure(root=True)
  assert figure is not None
  # A canvas keeps its renderer, which takes milliseconds to make.
  kept = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
  renderer, whole = kept.get_renderer(), text.get_text()
  for length in range(len(whole) - 1, 0, -1):
    if text.get_window_extent(renderer).width <= width * figure.dpi:
      break
    text.set_text(f'{whole[:length].rstrip()}\N{HORIZONTAL ELLIPSIS}')
