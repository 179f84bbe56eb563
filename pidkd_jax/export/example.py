"""The script example.py of an export, which classifies an image with the file beside it."""

from collections.abc import Iterable

from pidkd_jax.export.format import Format

# {layout: (its axes, an expression for images [1, H, W, C] in it)}.
_LAYOUTS = {
  'nhwc': ('H, W, C', 'pixels'),
  'nchw': ('C, H, W', 'np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))'),
}


def image_name(channels: int) -> str:
  """Return the name of the file with the script's image: an array where Pillow has no such image.

  Args:
    channels: of the image.
  """
  return 'example.png' if channels in (1, 3) else 'example.npy'


def script(
  format_: Format, layout: str, families: Iterable[type] = (), *, channels: int = 3
) -> str:
  """Return the script of an export.

  Args:
    format_: of the file.
    layout: of the file's input.
    families: the user's own classes in the network.
    channels: of the images. The script reads arrays where Pillow has no such images.
  """
  names = sorted(f'{family.__module__}:{family.__qualname__}' for family in families)
  own = f', models.families({", ".join(map(repr, names))})' if names else ''
  imports, _, function = format_.example.strip('\n').partition('\n\n\n')
  axes, images = _LAYOUTS[layout]
  return _SCRIPT.format(
    imports=imports,
    function=function.format(file=format_.file, own=own),
    layout=axes,
    images=images,
    image=image_name(channels),
    **(_IMAGES if image_name(channels).endswith('.png') else _ARRAYS),
  )


# What the script says of its argument and imports, and how it reads pixels [1, H, W, C].
_IMAGES = {
  'argument': 'IMAGE',
  'kind': 'an image file',
  'pillow': 'from PIL import Image, ImageOps\n',
  'reading': """
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
  pixels = np.asarray(image).reshape(1, height, width, channels)""",
}
_ARRAYS = {
  'argument': 'ARRAY.npy',
  'kind': 'an array, uint8 [H, W, C],',
  'pillow': '',
  'reading': """
  pixels = np.load(path).reshape(1, height, width, channels)""",
}

_SCRIPT = '''"""Classify an image with the file beside this one: python example.py [{argument}]"""

import json
import math
import pathlib
import sys

import numpy as np
{pillow}
{imports}

HERE = pathlib.Path(__file__).resolve().parent
CARD = json.loads((HERE / 'card.json').read_text())


def preprocess(path):
  """Read {kind} as the network's input, [1, {layout}]."""
  dataset = CARD['dataset']
  height, width, channels = dataset['image_shape']{reading}
  if CARD['export']['input']['dtype'] == 'float32':
    mean, std = np.float32(dataset['mean']), np.float32(dataset['std'])
    pixels = ((pixels / np.float32(255) - mean) / std).astype(np.float32)
  return {images}


{function}


if __name__ == '__main__':
  [path] = sys.argv[1:] or [HERE / '{image}']
  logits = np.asarray(run(preprocess(path)))[0].astype(np.float64)
  probabilities = np.exp(logits - logits.max())
  probabilities /= probabilities.sum()
  classes = CARD['dataset']['class_names'] or range(len(logits))
  for i in np.argsort(-logits)[:5]:
    print(f'{{probabilities[i]:.4f}}  {{classes[i]}}')
'''
