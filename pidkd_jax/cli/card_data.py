"""The data that a bundle's card names, or what a script's flags name in its place."""

from absl import flags

from pidkd_jax import data
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.data import Dataset


def define_flags() -> None:
  """Gives a script the flags that `load` reads."""
  flags.DEFINE_string('data_dir', '', "TFDS's folder; by default TFDS's own.")
  flags.DEFINE_string('data', '', 'Dataset; by default the one that the card names.')
  flags.DEFINE_string(
    'archive', '', "The dataset's archive; by default where the card says it lay."
  )
  flags.DEFINE_bool(
    'verify', None, 'Whether the archive must be the official one; by default as in the card.'
  )
  flags.DEFINE_integer(
    'image_size', None, "Side that a folder's images are brought to; by default as in the card."
  )


def load(bundle: Bundle, limit: int | None = None) -> Dataset:
  """The dataset of a bundle.

  Args:
    bundle: that has the card.
    limit: as `data.load` takes it.

  Raises:
    UserError: neither card nor flags name one, it cannot be read, is another one than that of the
      card, or has other classes or image sizes than the bundle is for.
  """
  chosen, known, folder = flags.FLAGS, bundle.card['dataset'], str(bundle.folder)
  name = chosen.data or known.get('format')
  if not name:
    raise UserError(f'{folder!r} does not say which data it is for; say it with --data')
  same = name == known.get('format')
  verify = chosen.verify
  if verify is None:
    verify = not same or known['name'] == known['format']
  image_size = chosen.image_size
  if image_size is None:  # Cards from before there were folders of images do not name it.
    image_size = known.get('image_size', 0) if same else 0
  dataset = data.load(
    name,
    directory=chosen.data_dir,
    archive=chosen.archive or (known['archive'] if same else ''),
    verify=verify,
    image_size=image_size,
    limit=limit,
  )
  spec, shape = dataset.spec, tuple(known['image_shape'])
  if same and spec.fingerprint != known['fingerprint']:
    raise UserError(
      f'{spec.name} is not the data that the bundle was evaluated on '
      f'({known["name"]}, fingerprint {known["fingerprint"][:8]}...); '
      'give its archive with --archive'
    )
  classes = bundle.network.model.num_classes
  if (spec.num_classes, spec.image_shape) != (classes, shape):
    raise UserError(
      f'{folder!r} is for {classes} classes of {list(shape)} images and {spec.name} has '
      f'{spec.num_classes} of {list(spec.image_shape)}; --data says another'
    )
  return dataset
