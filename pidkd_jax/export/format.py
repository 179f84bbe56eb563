"""What a format is."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from pidkd_jax.export.deployable import Deployable

# Images [B, H, W, C] -> logits [B, K].
Run = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Format:
  """How a network is written to one file, and how that file runs.

  Attributes:
    file: its name.
    extra: of this package, that installs what `needs` names.
    needs: the modules without which it is neither written nor run.
    distributions: whose versions the card names.
    write: a deployable and a path -> the file.
    open: the file's path, and the deployable for what no file holds -> what runs it.
    run: the text of a function `run(images)` of the example, after its imports.
    exact: whether its logits are the bundle's.
    computes: whether it holds the computation, which may begin with the normalisation.
  """

  file: str
  extra: str
  needs: tuple[str, ...]
  distributions: tuple[str, ...]
  write: Callable[[Deployable, pathlib.Path], None]
  open: Callable[[pathlib.Path, Deployable], Run]
  run: str
  exact: bool = True
  computes: bool = True

  def example(self) -> str:
    """A script that classifies an image with the file beside it."""
    imports, _, function = self.run.strip('\n').partition('\n\n\n')
    return _EXAMPLE.format(imports=imports, function=function.format(file=self.file))


_EXAMPLE = '''"""Classifies an image with the file beside this one: python example.py [IMAGE]"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image

{imports}

HERE = pathlib.Path(__file__).resolve().parent
CARD = json.loads((HERE / 'card.json').read_text())


def prepared(path):
  """An image file as what the network is called with, [1, H, W, C]."""
  (_, height, width, channels), known = CARD['export']['input']['shape'], CARD['dataset']
  image = Image.open(path).convert('L' if channels == 1 else 'RGB').resize((width, height))
  pixels = np.asarray(image).reshape(1, height, width, channels)
  if CARD['export']['input']['dtype'] == 'uint8':
    return pixels
  scaled = (pixels / np.float32(255) - np.float32(known['mean'])) / np.float32(known['std'])
  return scaled.astype(np.float32)


{function}


if __name__ == '__main__':
  [path] = sys.argv[1:] or [HERE / 'example.png']
  logits = np.asarray(run(prepared(path)))[0].astype(np.float64)
  chances = np.exp(logits - logits.max())
  chances /= chances.sum()
  classes = CARD['dataset']['class_names'] or range(len(logits))
  for i in np.argsort(-logits)[:5]:
    print(f'{{chances[i]:.4f}}  {{classes[i]}}')
'''
