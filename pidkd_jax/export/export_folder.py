"""The folder of an export: the file, card.json, example.py with its image, and manifest.json."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from pidkd_jax import models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.bundles.trained_network import TrainedNetwork
from pidkd_jax.core import atomic_folder, extras, local_path, versions
from pidkd_jax.core.class_names import class_difference
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import inference
from pidkd_jax.export import catalog, example, verification
from pidkd_jax.export.deployable import LAYOUTS, Deployable
from pidkd_jax.export.format import Format
from pidkd_jax.models.exported import Exported

_CARD, _EXAMPLE = 'card.json', 'example.py'


def check(name: str, folder: pathlib.Path, uint8: bool, layout: str = 'nhwc') -> Format:
  """Check that a format can be written into a folder, before any work is done.

  Args:
    name: one of `names()`.
    folder: the folder to write; an export in it will be replaced.
    uint8: whether the file is to take pixels and to normalise them itself.
    layout: of the file's input, one of `LAYOUTS`.

  Returns:
    The format.

  Raises:
    UserError: The name or layout is unknown, the format has no such input, a library is missing, or
      the folder cannot be written or holds something else.
  """
  format_ = catalog.find(name)
  if uint8 and not format_.executable:
    raise UserError(
      f'format {name!r} holds variables and no normalisation; leave out `uint8`, its card has mean '
      'and std'
    )
  if layout not in LAYOUTS:
    raise unknown_name('layout', layout, LAYOUTS)
  if layout != LAYOUTS[0] and not format_.executable:
    raise UserError(
      f'format {name!r} holds variables and has no input; leave out `layout={layout}`'
    )
  extras.require(f'format {name!r}', *format_.modules)
  is_export = (folder / atomic_folder.MANIFEST).is_file() and (folder / _EXAMPLE).is_file()
  if folder.exists() and not is_export:
    raise UserError(f'{str(folder)!r} is there and holds no export; give another `folder`')
  nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
  if not nearest.is_dir() or not os.access(nearest, os.W_OK):
    raise UserError(
      f'{str(folder)!r} cannot be written, because {str(nearest)!r} is no folder or read-only; '
      'give another `folder`'
    )
  return format_


def check_network(name: str, bundle: Bundle) -> None:
  """Check that a format can express a network, before any work is done.

  Args:
    name: one of `names()`.
    bundle: the network.

  Raises:
    UserError: The network is an imported one, whose computation the format cannot hold.
  """
  if isinstance(bundle.network.model, Exported) and not catalog.find(name).imported:
    able = [other for other, format_ in catalog.formats().items() if format_.imported]
    raise UserError(
      f'{str(bundle.folder)!r} is an imported PyTorch network, whose encoder is StableHLO, so it '
      f'cannot be written as {name}; export it as {" or ".join(able)}, or from PyTorch. Its '
      'students have all formats'
    )


def export(
  deployable: Deployable,
  name: str,
  folder: pathlib.Path,
  test: Split,
  expected: np.ndarray,
  largest_loss: float,
) -> dict[str, Any]:
  """Write a bundle in one format, and verify the file on every test image.

  The file's own runtime computes its logits. The folder takes its place only if they agree with the
  bundle's; otherwise everything stays as it was.

  Args:
    deployable: the function from images to logits to export.
    name: the format's name, one of `names()`.
    folder: the folder to write; an export in it is replaced.
    test: the test split.
    expected: float32 [N, K], the bundle's logits on it.
    largest_loss: points of top-1 that an inexact format may cost.

  Returns:
    The card's entry on the export: format, file, size, input, versions and verification.

  Raises:
    UserError: The format cannot express the network, the file does not agree, or `check` refuses.
  """
  format_ = check(name, folder, deployable.uint8, deployable.layout)
  check_network(name, deployable.bundle)
  with atomic_folder.replacing(folder) as part:
    format_.write(deployable, part / format_.file)
    run = format_.load(part / format_.file, deployable)
    agreement = verification.compare(run, deployable, test, expected)
    limit = None if format_.exact else largest_loss
    verification.require(f'{name} of {str(deployable.bundle.folder)!r}', agreement, limit)
    distributions = ('pidkd_jax', 'jax', *format_.distributions)
    entry = {
      'format': name,
      'file': format_.file,
      'bytes': (part / format_.file).stat().st_size,
      'input': deployable.describe_input(),
      'bundle': deployable.bundle.digest,
      'versions': versions.of(*distributions),
      'verification': agreement.to_card(),
    }
    atomic_folder.write_json(part / _CARD, {**deployable.bundle.card, 'export': entry})
    own = models.families(deployable.bundle.network.model)
    channels = deployable.image_shape[-1]
    script = example.script(format_, deployable.layout, own, channels=channels)
    (part / _EXAMPLE).write_text(script, 'utf-8')
    _save_image(test, part / example.image_name(channels))
  return entry


def export_network(
  trained: TrainedNetwork,
  data: Dataset,
  format: str,
  folder: str | pathlib.Path,
  *,
  uint8: bool = False,
  layout: str = 'nhwc',
  largest_loss: float = 1.0,
) -> dict[str, Any]:
  """Write a trained network in one format, and verify the file on every test image.

  Args:
    trained: of `kd.train`, `kd.distill` or `kd.load`.
    data: the dataset that it was trained on.
    format: one of `names()`.
    folder: the folder to write; an export in it is replaced.
    uint8: whether the file takes pixels of 0 to 255 and normalises them itself.
    layout: of the file's input: 'nhwc', or 'nchw' as in PyTorch.
    largest_loss: points of top-1 that an 8-bit format may cost.

  Returns:
    The card's entry on the export: format, file, size, input, versions and verification.

  Raises:
    UserError: as `export` does; or the data have other classes or images than the network is for,
      or are of its own kind and differ from them by their fingerprint.

  Example:
    >>> student = kd.load('student')  # doctest: +SKIP
    >>> kd.export.export_network(student, data, 'onnx', 'exported')['bytes']  # doctest: +SKIP
    312574
  """
  place = local_path.expanded('folder', folder)
  check(format, place, uint8, layout)  # Before any work.
  bundle = trained.bundle
  check_network(format, bundle)
  train, test = data.train, data.test
  if data.spec.teacher_size and trained.image_shape == data.spec.teacher_shape:
    train, test = train.larger, test.larger
  ours, theirs = trained.image_shape, tuple(test.image_shape)
  if ours != theirs or len(trained.class_names) != data.spec.num_classes:
    raise UserError(
      f'the network is for images of {_form(ours, len(trained.class_names))}, and {data.spec.name} '
      f'has {_form(theirs, data.spec.num_classes)}; give the data that it was trained on'
    )
  _check_data(bundle, data)
  expected = inference.logits(bundle.network, inference.eval_batches(test, bundle.normalisation))
  deployable = Deployable.create(bundle, train, uint8, layout)
  return export(deployable, format, place, test, expected, largest_loss)


def _check_data(bundle: Bundle, data: Dataset) -> None:
  """Raise UserError for data of other classes, or with other images than the bundle's own had."""
  known, spec = bundle.card['dataset'], data.spec
  if difference := class_difference(known['class_names'], spec.class_names):
    raise UserError(
      f'the network and {spec.name} do not have the same classes: {difference}; give the data that '
      'it was trained on'
    )
  # A teacher's larger images belong to the fingerprint of the data.
  same_kind = (known.get('format'), known.get('teacher_size', 0)) == (
    spec.format,
    spec.teacher_size,
  )
  fingerprint = known.get('fingerprint')
  if same_kind and fingerprint and fingerprint != spec.fingerprint:
    raise UserError(
      f'{spec.name} has other images than the network was evaluated on (fingerprint '
      f'{spec.fingerprint[:8]}..., not {fingerprint[:8]}...); give the data that it was trained on'
    )


def _form(shape: tuple[int, ...], num_classes: int) -> str:
  return f'{"x".join(map(str, shape))} in {num_classes} classes'


def _save_image(test: Split, path: pathlib.Path) -> None:
  """Save the first test image, whole where evaluation sees its middle: the example cuts it.

  An array is saved as the network sees it, which the example does not cut.
  """
  first: Any = test.take(np.arange(1))
  is_array = path.suffix == '.npy'
  if first.side and not is_array:
    first = dataclasses.replace(first, side=0, size=0)
  pixels = np.asarray(next(iter(first.blocks(1))))[0]
  if is_array:
    np.save(path, pixels)
    return
  Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
