"""The script example.py of an export, which classifies an image with the file beside it."""

from collections.abc import Iterable

from pidkd_jax.export.format import Format

# {layout: (its axes, an expression for images [1, H, W, C] in it)}.
_LAYOUTS = {
  'nhwc': ('H, W, C', 'pixels'),
  'nchw': ('C, H, W', 'np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))'),
}


def script(format_: Format, layout: str, families: Iterable[type] = ()) -> str:
  """Return the script for a format, the layout of its input, and the user's own classes in it."""
  names = sorted(f'{family.__module__}:{family.__qualname__}' for family in families)
  own = f', models.families({", ".join(map(repr, names))})' if names else ''
  imports, _, function = format_.example.strip('\n').partition('\n\n\n')
  axes, images = _LAYOUTS[layout]
  return _SCRIPT.format(
    imports=imports,
    function=function.format(file=format_.file, own=own),
    layout=axes,
    images=images,
  )


_SCRIPT = '''"""Classify an image with the file beside this one: python example.py [IMAGE]"""

import json
import math
import pathlib
import sys

import numpy as np
from PIL import Image, ImageOps

{imports}

HERE = pathlib.Path(__file__).resolve().parent
CARD = json.loads((HERE / 'card.json').read_text())


def preprocess(path):
  """Read an image file as the network's input, [1, {layout}]."""
  dataset = CARD['dataset']
  height, width, channels = dataset['image_shape']
  image = ImageOps.exif_transpose(Image.open(path))
  if image.mode.startswith('I'):  # 16 bits; Pillow would clip them at 255.
    values = np.asarray(image) >> (dataset.get('bits') or 16) - 8
    image = Image.fromarray(np.minimum(values, 255).astype(np.uint8))
  image = image.convert('RGB')
  # Scale it until it covers the size before the crop, and keep the middle.
  ratio = dataset.get('crop_ratio', 1)
  scaled = (math.floor(width / ratio), math.floor(height / ratio))
  image = ImageOps.fit(image, scaled, Image.Resampling.BILINEAR)
  left, top = round((scaled[0] - width) / 2), round((scaled[1] - height) / 2)
  image = image.crop((left, top, left + width, top + height))
  image = image.convert('L' if channels == 1 else 'RGB')
  pixels = np.asarray(image).reshape(1, height, width, channels)
  if CARD['export']['input']['dtype'] == 'float32':
    mean, std = np.float32(dataset['mean']), np.float32(dataset['std'])
    pixels = ((pixels / np.float32(255) - mean) / std).astype(np.float32)
  return {images}


{function}


if __name__ == '__main__':
  [path] = sys.argv[1:] or [HERE / 'example.png']
  logits = np.asarray(run(preprocess(path)))[0].astype(np.float64)
  probabilities = np.exp(logits - logits.max())
  probabilities /= probabilities.sum()
  classes = CARD['dataset']['class_names'] or range(len(logits))
  for i in np.argsort(-logits)[:5]:
    print(f'{{probabilities[i]:.4f}}  {{classes[i]}}')
'''
