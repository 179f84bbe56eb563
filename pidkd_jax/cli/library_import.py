"""The import of a network of timm or torchvision."""

import collections

from absl import flags

from pidkd_jax.bundles import bundle, torch_file, torch_module
from pidkd_jax.bundles.torch_libraries import Library
from pidkd_jax.cli import data_flags, imported_bundle
from pidkd_jax.core import local_path
from pidkd_jax.core.class_names import class_difference
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation

FLAGS = flags.FLAGS


def main(library: Library, name: str) -> None:
  """Write the bundle of a library's network.

  Args:
    library: of `torch_libraries.LIBRARIES`.
    name: of the network in it.

  Raises:
    UserError: the flags contradict each other, or the network or its weights cannot be used.
  """
  title = f'{library.title}/{name}'
  if bool(FLAGS.checkpoint) == FLAGS.pretrained:
    raise UserError(
      f'{title} needs weights, as random ones teach nothing; give either --checkpoint, or '
      '--pretrained to download them'
    )
  if FLAGS.teacher:
    raise UserError(f"--teacher is for SimKD's students, and {title} is none; leave it out")
  if FLAGS.pretrained and (FLAGS.key or FLAGS.prefix):
    raise UserError('--key and --prefix are of a --checkpoint; leave them out with --pretrained')
  library.check(name)
  out = imported_bundle.place()
  size, config = FLAGS.image_size, None
  if FLAGS.pretrained:
    module, notes = library.create(name, None, size, pretrained=True), ()
    imported = {'weights': library.pretrained(name)[1]}
  else:
    path = local_path.resolve('--checkpoint', FLAGS.checkpoint)
    checkpoint = torch_file.read(path, FLAGS.key, FLAGS.prefix)
    config = library.config(name, path)
    made_for = size or (config and config.preprocessing.side)
    (module, done), passed = imported_bundle.fitted(
      checkpoint, lambda state: torch_module.with_weights(library, name, state, made_for)
    )
    imported, notes = imported_bundle.origin(path), (*checkpoint.notes, *passed, *done)
  known = config.preprocessing if config else library.preprocessing(name, module)
  height, width, channels = known.image_shape
  image_shape = (size or height, size or width, channels)
  crop_ratio = FLAGS.crop_ratio or known.crop_ratio
  # The data are cut as the card says, so that a later evaluation finds the same.
  sized = {'image_size': image_shape[0], 'crop_ratio': crop_ratio}
  dataset = data_flags.load(**sized) if FLAGS.data else None
  converted = torch_module.convert(module, title, image_shape)
  network = converted.network
  count = network.model.num_classes
  imported_bundle.check_config(config, network)
  own, said_by = library.class_names(name, module, count), ''
  if config and config.class_names:
    own, said_by = config.class_names, imported_bundle.BESIDE
  if FLAGS.class_names:
    own, said_by = _class_names(count), f'--class_names {FLAGS.class_names!r}'
  mean, std = (
    given and imported_bundle.numbers(flag, given, channels)
    for flag, given in (('--mean', FLAGS.mean), ('--std', FLAGS.std))
  )
  normalisation = Normalisation(mean or known.normalisation.mean, std or known.normalisation.std)
  entries = {
    'name': None,
    'class_names': own,
    'image_shape': image_shape,
    'mean': normalisation.mean,
    'std': normalisation.std,
    'crop_ratio': crop_ratio,
  }
  if dataset:
    imported_bundle.check(network, dataset)
    if dataset.spec.image_shape != image_shape:
      raise UserError(
        f'{title} takes images of {list(image_shape)}, and {dataset.spec.name} has '
        f'{list(dataset.spec.image_shape)}; give --image_size'
      )
    difference = class_difference(own, dataset.spec.class_names)
    if said_by or sorted(own or ()) == sorted(dataset.spec.class_names):
      network, ordered = imported_bundle.in_order(network, own, said_by or title, dataset)
      notes = (*notes, *ordered)
    elif difference:
      its = f"{dataset.spec.name}'s names of the classes, in its order,"
      notes = (*notes, f"{its} took the place of {title}'s: {difference}")
    entries |= bundle.dataset_card(dataset.spec, normalisation)
  target = converted.places[-1]
  shape = 'x'.join(map(str, converted.target_shape))
  where = f'the input of {target.module}' if target.before else f'the output of {target.module}'
  notes = (
    *notes,
    *imported_bundle.image_notes(entries, imported_bundle.BESIDE if config else title, known),
    f'the target map is {where}, {shape}',
    f'outputs differ from those of PyTorch by {converted.difference:.1e} of the largest',
  )
  imported_bundle.write(out, network, entries, imported, notes, dataset)


def _class_names(count: int) -> list[str]:
  """Return the names in the file of --class_names, one a line."""
  path = local_path.resolve('--class_names', FLAGS.class_names)
  try:
    names = [line.strip() for line in path.read_text('utf-8').splitlines() if line.strip()]
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(
      f'--class_names {str(path)!r} cannot be read: {getattr(error, "strerror", error)}; give a '
      'text file with one name a line'
    ) from error
  if len(names) != count:
    raise UserError(
      f'--class_names {str(path)!r} has {len(names)} names, and the network has {count} classes; '
      'give one name a line'
    )
  if twice := [one for one, times in collections.Counter(names).items() if times > 1]:
    raise UserError(
      f'--class_names {str(path)!r} has {twice[0]!r} more than once; give each class a name of its '
      'own'
    )
  return names
