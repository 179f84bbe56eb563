"""Datasets that the user wrote as TFDS builders, named 'module:Class'."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import requests
import tensorflow_datasets as tfds
from PIL import Image

from pidkd_jax.core import image as image_lib
from pidkd_jax.core import own_code, registry
from pidkd_jax.core.errors import UserError, first_line
from pidkd_jax.core.normalisation import checked
from pidkd_jax.data.sources.source import Source
from pidkd_jax.data.tfds.builder import Builder, features, open_builder, open_or_prepare

# The splits that may serve as the test split; the first that there is.
_TESTS = ('test', 'val', 'validation')


def load(name: str) -> Source:
  """Import what `name` names.

  Args:
    name: 'module:Class' for a TFDS builder, or 'module:attribute' for a `Source` of one.

  Raises:
    UserError: as `own_code.load`; or it is neither, or its dataset has the name of one of ours.
  """
  found = own_code.load('dataset', name, Builder)
  source = found
  if not isinstance(found, Source):
    if not (isinstance(found, type) and issubclass(found, Builder)):
      raise UserError(
        f'{name!r} is no dataset; make it a subclass of tfds.core.GeneratorBasedBuilder'
      )
    source = Source(builder=found, origin=name, flip=True, test='')
  ours = registry.discover('pidkd_jax.data.sources', 'DATASETS').values()
  if source.builder.name in {one.builder.name for one in ours}:
    raise UserError(
      f'{name!r} makes a dataset called {source.builder.name!r}, as one of this package is; rename '
      'the class'
    )
  return source


def prepare(name: str, source: Source, directory: str, archive: str) -> tuple[Source, Builder]:
  """Open a dataset of the user's own; prepare it first if needed.

  Args:
    name: as the user wrote it.
    source: of that name.
    directory: TFDS's data_dir.
    archive: as `data.load`'s; a builder finds its files itself.

  Returns:
    The source, with the name of its test split; the builder of the prepared dataset.

  Raises:
    UserError: its code fails, it cannot be prepared, its examples have other features, or its
      statistics are not those of such images.
  """
  if archive:
    raise UserError(f'`archive` is {archive!r}, and {name!r} takes none; leave it out')
  with own_code.explain_errors(name):
    try:
      bound = _without_tensorflow(source.builder)
      _check_features(name, open_builder(bound, directory))
      builder = open_or_prepare(bound, directory)
    except UserError as error:
      # What the user's code raises is not the disk's or the prepared files' fault.
      if error.__cause__ and own_code.passed(error.__cause__, name):
        raise error.__cause__ from None
      raise
    except (requests.RequestException, tfds.download.DownloadError) as error:
      raise UserError(f'the download of {name!r} failed ({first_line(error)})') from error
    except Exception as error:
      # TFDS puts the whole example before the feature and the reason.
      _, feature, reason = str(error).rpartition('In <')
      if not feature:
        raise
      raise UserError(f'{name} fails: {" ".join((feature + reason).split())}; mend it') from error
  normalisation = source.normalisation
  if normalisation is not None:
    channels = features(builder)['image'].shape[-1]
    normalisation = checked(f'the normalisation of {name!r}', normalisation, channels)
  test = _test_split(name, source, builder)
  return dataclasses.replace(source, test=test, normalisation=normalisation), builder


def _without_tensorflow(builder: type[Builder]) -> type[Builder]:
  """Return the builder with arrays as images of Pillow, as TFDS encodes arrays by TensorFlow."""

  class Bound(builder, skip_registration=True):
    # TFDS looks for checksums beside the module.
    __module__, __doc__, name = builder.__module__, builder.__doc__, builder.name

    def _split_generators(self, dl_manager: Any, *args: Any) -> Any:
      splits = super()._split_generators(dl_manager, *args)
      if not isinstance(splits, dict):
        return splits
      shape = features(self)['image'].shape
      return {split: _encodable(examples, shape) for split, examples in splits.items()}

  return Bound


def _encodable(
  examples: Iterable[tuple[Any, dict[str, Any]]], shape: tuple[int, int, int]
) -> Iterator[tuple[Any, dict[str, Any]]]:
  """Yield the examples; raise ValueError at an image that could not be read back."""
  for key, example in examples:
    try:
      image = _readable(example['image'], shape)
    except ValueError as error:
      raise ValueError(f'the image of {key!r} is {error}') from error
    yield key, {**example, 'image': image}


def _readable(image: Any, shape: tuple[int, int, int]) -> Image.Image | bytes:
  """Return an image in a form that TFDS stores without TensorFlow.

  Args:
    image: an array, an image of Pillow, or a PNG or JPEG file: its path, its bytes, or open.
    shape: (H, W, C) that `_info` gives all images.

  Raises:
    ValueError: it could not be read back; the message ends a sentence that begins with 'it is'.
  """
  if isinstance(image, np.ndarray):
    if image.shape != shape or image.dtype != np.uint8:
      raise ValueError(f'{image.dtype} {image.shape}, and _info says uint8 {shape}')
    return Image.fromarray(image[..., 0] if shape[-1] == 1 else image)
  if isinstance(image, Image.Image):
    image_lib.check_form(image, shape)
    return image
  if isinstance(image, str | os.PathLike):
    try:
      image = tfds.core.Path(image).read_bytes()
    except OSError as error:
      raise ValueError(f'{image}, which cannot be read ({first_line(error)})') from error
  elif not isinstance(image, bytes):
    if not hasattr(image, 'read'):
      raise ValueError(f'a {type(image).__name__}; give a uint8 array of numpy, or a file')
    image = image.read()
  image_lib.decode(image, shape)
  return image


def _check_features(name: str, builder: Builder) -> None:
  found = features(builder)
  named = dict(found.items()) if isinstance(found, tfds.features.FeaturesDict) else {}
  image, label = named.get('image'), named.get('label')
  if not isinstance(image, tfds.features.Image) or not isinstance(label, tfds.features.ClassLabel):
    raise UserError(
      f"{name!r} needs the features 'image' (tfds.features.Image) and 'label' "
      '(tfds.features.ClassLabel); name them so in _info'
    )
  # TFDS allows any tree of shapes and types.
  shape: Any = image.shape
  dtype: Any = image.np_dtype
  if None in shape or shape[-1] not in (1, 3) or dtype != np.uint8:
    raise UserError(
      f"the 'image' of {name!r} has shape {shape} and type {np.dtype(dtype)}; all "
      'images need one size, 1 or 3 channels and type uint8: give _info that shape'
    )
  if not label.num_classes:
    raise UserError(f"the 'label' of {name!r} names no classes; give it names or num_classes")


def _test_split(name: str, source: Source, builder: Builder) -> str:
  splits: Any = builder.info.splits
  tests = (source.test,) if source.test else _TESTS
  test = next((split for split in tests if split in splits), None)
  if 'train' not in splits or test is None:
    raise UserError(
      f'{name!r} has the splits {", ".join(splits)}; it needs train, and one of {", ".join(tests)}'
    )
  return test
