"""The flags that name a dataset, for commands without a config."""

from collections.abc import Mapping
from typing import Any

from absl import flags

from pidkd_jax import data
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import own_code
from pidkd_jax.core.class_names import class_difference
from pidkd_jax.core.errors import UserError, respelled
from pidkd_jax.data import Dataset
from pidkd_jax.training import free_memory

# {parameter of `data.load`: what stands for it here}.
_SPELLING = {'directory': '--data_dir', 'limit=None': 'more free memory'} | {
  name: f'--{name}' for name in ('archive', 'verify', 'image_size', 'crop_ratio')
}


def define(data_help: str, least_size: int = 0) -> None:
  """Define --data, --data_dir, --archive, --verify, --image_size and --crop_ratio.

  Args:
    data_help: what the dataset is for.
    least_size: lower bound of --image_size.
  """
  flags.DEFINE_string('data', '', data_help)
  flags.DEFINE_string('data_dir', '', "TFDS's folder; by default TFDS's own.")
  flags.DEFINE_string('archive', '', "The dataset's archive.")
  flags.DEFINE_bool('verify', None, 'Require the official archive.')
  flags.DEFINE_integer('image_size', None, 'Side to scale images to.', lower_bound=least_size)
  flags.DEFINE_float(
    'crop_ratio', None, 'Share of the shorter side to keep.', lower_bound=0, upper_bound=1
  )


def load(
  known: Mapping[str, Any] | None = None, *, image_size: int = 0, crop_ratio: float = 1.0
) -> Dataset:
  """Return the dataset of --data.

  Args:
    known: the dataset in a bundle's card. It fills in what the flags leave out, if it is the same.
    image_size: as `data.load` takes it, where neither the flags nor `known` say it.
    crop_ratio: the same of the crop.

  Raises:
    UserError: there is no such dataset, or it cannot be read; or --crop_ratio lacks --image_size.
  """
  given, known = flags.FLAGS, known or {}
  name = given.data or known.get('format', '')
  if name != known.get('format'):
    known = {}
  if own_code.is_own(name) and not given.data:
    raise UserError(
      f'the bundle is for the data {name!r}, code that is imported only if you name it yourself, '
      f'by --data={name}'
    )
  official = not known or known['name'] == known['format']
  # Cards from before there were folders of images have neither.
  image_size, crop_ratio = known.get('image_size', image_size), known.get('crop_ratio', crop_ratio)
  image_size = image_size if given.image_size is None else given.image_size
  crop_ratio = crop_ratio if given.crop_ratio is None else given.crop_ratio
  if crop_ratio < 1 and not image_size:
    raise UserError(
      f'--crop_ratio={crop_ratio:g} needs a size to crop to; give --image_size, e.g. 224'
    )
  with respelled(_SPELLING):
    return data.load(
      name,
      directory=given.data_dir,
      archive=given.archive or known.get('archive', ''),
      verify=official if given.verify is None else given.verify,
      image_size=image_size,
      teacher_size=known.get('teacher_size', 0) if given.image_size is None else 0,
      crop_ratio=crop_ratio,
      limit=free_memory.image_limit(),
    )


def load_for(bundle: Bundle) -> Dataset:
  """Return the dataset of --data, or else of a bundle's card, to evaluate the bundle on.

  Raises:
    UserError: neither card nor flags name one, it cannot be read, it or its size or crop differs
      from the card's, or it has other classes, another order of them, or image sizes than the
      bundle is for.
  """
  known, folder = bundle.card['dataset'], str(bundle.folder)
  height, width, channels = shape = tuple(known['image_shape'])
  name = flags.FLAGS.data or known.get('format')
  if not name:
    raise UserError(f'{folder!r} does not say which data it is for; say it with --data')
  # Data that the card does not name are cut as it says.
  cut = bundle.crop_ratio < 1 and height == width
  sized = {'image_size': height, 'crop_ratio': bundle.crop_ratio} if cut else {}
  dataset = load(known, **sized) if name != known.get('format') else load(known)
  spec = dataset.spec
  if name == known.get('format') and spec.fingerprint != known['fingerprint']:
    if sizes := given_flags('image_size', 'crop_ratio'):
      raise UserError(
        f'with {sizes}, {spec.name} is not what {folder!r} was evaluated on; leave '
        'that out, as the card says it'
      )
    raise UserError(
      f'{spec.name} is not the data that the bundle was evaluated on '
      f'({known["name"]}, fingerprint {known["fingerprint"][:8]}...); '
      'give its archive with --archive'
    )
  classes = bundle.network.model.num_classes
  if (spec.num_classes, spec.image_shape) != (classes, shape):
    alike = (spec.num_classes, spec.image_shape[-1]) == (classes, channels) and height == width
    raise UserError(
      f'{folder!r} is for {classes} classes of {list(shape)} images and {spec.name} has '
      f'{spec.num_classes} of {list(spec.image_shape)}; '
      + (f'give --image_size={height}' if alike else '--data says another')
    )
  if difference := class_difference(known['class_names'], spec.class_names):
    raise UserError(
      f'{folder!r} and {spec.name} do not have the same classes: {difference}; --data says another'
    )
  if known['class_names'] is None:
    print(f'{folder} names no classes; they are taken to be those of {spec.name} in its order')
  return dataset


def given_flags(*names: str) -> str:
  """Return those of some flags that the user gave, as '--image_size and --verify', or ''."""
  values = {name: getattr(flags.FLAGS, name) for name in names}
  return ' and '.join(f'--{name}' for name, value in values.items() if value not in (None, ''))
