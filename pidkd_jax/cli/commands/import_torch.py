"""Turn a PyTorch checkpoint into a bundle.

    pidkd import-torch --checkpoint X.pth --model resnet32x4 --out teachers/x

`pidkd networks` lists them. Others of timm and torchvision become teachers.
"""

from absl import flags

from pidkd_jax import data, models
from pidkd_jax.bundles import bundle, timm_config, torch_import, torch_libraries
from pidkd_jax.cli import bundle_flags, data_flags, imported_bundle, library_import
from pidkd_jax.core import local_path
from pidkd_jax.core.class_names import class_difference
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation

FLAGS = flags.FLAGS

# The families that the literature trains on CIFAR. Of others only --data or timm's file may tell
# the images.
_OF_CIFAR = (
  'ResNet',
  'ImageNetResNet',
  'WRN',
  'VGG',
  'MobileNetV2',
  'ShuffleNetV1',
  'ShuffleNetV2',
)


def define_flags():
  flags.DEFINE_string('checkpoint', '', 'PyTorch file.')
  flags.DEFINE_string('model', '', 'Its network; timm/NAME and torchvision/NAME, too.')
  flags.DEFINE_bool('pretrained', False, 'Download the weights of such a network.')
  flags.DEFINE_string('class_names', '', 'File with its classes, one a line.')
  flags.DEFINE_string('out', '', 'Folder of the bundle.')
  flags.DEFINE_string('teacher', '', "Bundle of a SimKD student's teacher.")
  flags.DEFINE_string('key', '', 'Entry that holds the state dict; by default the usual.')
  flags.DEFINE_string('prefix', '', 'Beginning of its keys; by default what they share.')
  bundle_flags.define_own()
  data_flags.define('Dataset that the network was trained for.', least_size=8)
  flags.DEFINE_list('mean', None, "Of each channel, pixels in [0, 1]; by default as --data's.")
  flags.DEFINE_list('std', None, 'Standard deviation of each channel; as for --mean.')


def main():
  _check_data_flags()
  if library := torch_libraries.of(FLAGS.model):
    return library_import.main(*library)
  if FLAGS.pretrained or FLAGS.class_names:
    raise UserError(
      '--pretrained and --class_names are for networks of timm and torchvision; write e.g. '
      '--model timm/resnet18'
    )
  if not FLAGS.checkpoint:
    raise UserError('no --checkpoint was given; name a PyTorch file')
  if not FLAGS.model or FLAGS.model.startswith('-'):
    raise UserError(f'no --model was given; {_suggestion()}')
  models.create(FLAGS.model, num_classes=1)  # A misspelt name comes out before anything is read.
  path = local_path.resolve('--checkpoint', FLAGS.checkpoint)
  out = imported_bundle.place()
  checkpoint = torch_import.read(path, FLAGS.key, FLAGS.prefix)
  teacher = bundle_flags.load(FLAGS.teacher, '--teacher') if FLAGS.teacher else None
  config, unread = (None, ()) if teacher else _timm_config(path)
  dataset = data_flags.load(**_cut(config)) if FLAGS.data else None
  facts = _facts(dataset, teacher, config)
  network, passed = _network(checkpoint, teacher, tuple(facts['image_shape']))
  imported_bundle.check_config(config, network)
  if not (config or teacher or dataset):
    _check_images(network)
  if dataset:
    imported_bundle.check(network, dataset)
    network, ordered = _in_order(network, teacher, config, dataset)
    passed = (*passed, *ordered)
  normalisation = _normalisation(facts, network)
  facts |= {'mean': normalisation.mean, 'std': normalisation.std}
  imported = imported_bundle.origin(path)
  sources = (config and imported_bundle.BESIDE, dataset and dataset.spec.name)
  source = ', else of '.join(filter(None, sources))
  if not source:
    source = 'its teacher' if teacher else 'CIFAR' if _is_of_cifar(network) else 'the defaults'
  notes = (
    *checkpoint.notes,
    *passed,
    *unread,
    *imported_bundle.image_notes(facts, source, config and config.preprocessing),
  )
  imported_bundle.write(out, network, facts, imported, notes, dataset, teacher)


def _check_data_flags():
  """Raise UserError for flags of the data that nothing would read."""
  if FLAGS.crop_ratio == 0:
    raise UserError('--crop_ratio is 0; a share above 0 and up to 1 is needed')
  if FLAGS.data:
    return
  if given := data_flags.given_flags('data_dir', 'archive', 'verify'):
    raise UserError(f'{given} without --data would not be read; give --data, or leave that out')
  given = data_flags.given_flags('image_size', 'crop_ratio')
  if FLAGS.teacher and given:
    raise UserError(f'a student sees the images of its --teacher; leave out {given}')


def _suggestion():
  """Return what the checkpoint is, or an example where it cannot be read."""
  try:
    path = local_path.resolve('--checkpoint', FLAGS.checkpoint)
    return torch_import.suggestion(torch_import.read(path, FLAGS.key, FLAGS.prefix))
  except UserError:
    return 'e.g. --model resnet32x4'


def _timm_config(path):
  """Return what timm's hub says beside a checkpoint, and notes.

  It is None where it is of a network that is not built in, or --model is the user's own.

  Raises:
    UserError: it is of another network that is built in.
  """
  config = timm_config.read(path)
  if not config:
    return None, ()
  names = models.names()
  wanted = next((n for n in names if n.removesuffix('_imagenet') == config.architecture), None)
  if wanted == FLAGS.model:
    return config, ()
  if wanted and FLAGS.model in names:
    raise UserError(
      f'{timm_config.FILE} beside {str(path)!r} says that it is {wanted!r}, and --model is '
      f'{FLAGS.model!r}; give --model {wanted}'
    )
  note = f'{imported_bundle.BESIDE} is passed over, as it is of {config.architecture!r}'
  return None, (note,)


def _cut(config):
  """Return the size and the crop of --data where timm's file says them."""
  if not config or not config.preprocessing.side:
    return {}
  return {'image_size': config.preprocessing.side, 'crop_ratio': config.preprocessing.crop_ratio}


def _check_images(network):
  """Raise UserError where only the flags can say what a network's images are, and they do not."""
  given = {f'--{name}': getattr(FLAGS, name) for name in ('image_size', 'mean', 'std')}
  missing = [flag for flag, value in given.items() if value is None]
  if missing and not _is_of_cifar(network):
    raise UserError(
      f'nothing says which images {FLAGS.model!r} was trained on; give {" and ".join(missing)}; or '
      f"give --data, or put timm's {timm_config.FILE} beside the file"
    )


def _is_of_cifar(network):
  return type(network.model).__name__ in _OF_CIFAR


def _facts(dataset, teacher, config):
  """Return what the card says of the data; the normalisation may still be open."""
  if dataset:
    normalisation = (
      config.preprocessing.normalisation
      if config
      else data.published(FLAGS.data) or dataset.spec.normalisation
    )
    return bundle.dataset_card(dataset.spec, normalisation)
  if teacher:
    return dict(teacher.card['dataset'])
  if config:
    known = config.preprocessing
    height, width, channels = known.image_shape
    size = FLAGS.image_size
    return {
      'name': None,
      'class_names': config.class_names,
      'image_shape': (size or height, size or width, channels),
      'mean': known.normalisation.mean,
      'std': known.normalisation.std,
      'crop_ratio': FLAGS.crop_ratio or known.crop_ratio,
    }
  size = FLAGS.image_size or 32
  return {
    'name': None,
    'class_names': None,
    'image_shape': (size, size, 3),
    'mean': None,
    'std': None,
    'crop_ratio': FLAGS.crop_ratio or 1.0,
  }


def _network(checkpoint, teacher, image_shape):
  """Return the network, and notes on what was passed over."""
  if checkpoint.projector is None:
    if teacher:
      raise UserError(
        f"--teacher is for SimKD's students, and {FLAGS.checkpoint!r} has no 'proj'; leave it out"
      )
    return imported_bundle.fitted(
      checkpoint, lambda state: torch_import.network(state, FLAGS.model)
    )
  if not teacher:
    raise UserError(
      f"{FLAGS.checkpoint!r} is a student of SimKD (it has 'proj'): import its teacher first, and "
      "give that one's bundle with --teacher"
    )
  return torch_import.distilled(checkpoint, FLAGS.model, teacher.network, image_shape), ()


def _in_order(network, teacher, config, dataset):
  """Return the network with its classes in the order of the data, and notes."""
  if not teacher:
    names = config and config.class_names
    return imported_bundle.in_order(network, names, imported_bundle.BESIDE, dataset)
  # The student has its teacher's classifier, with which it is compared.
  theirs, spec = teacher.card['dataset']['class_names'], dataset.spec
  if difference := class_difference(theirs, spec.class_names):
    raise UserError(
      f'--teacher {FLAGS.teacher!r} and {spec.name} do not have the same classes: {difference}; '
      'give the data of its bundle'
    )
  return network, ()


def _normalisation(facts, network):
  """Return the normalisation: the user's, the data's, or the literature's for CIFAR-100."""
  found = {}
  for name, flag in ('mean', FLAGS.mean), ('std', FLAGS.std):
    known = facts[name]
    if flag is not None:
      found[name] = imported_bundle.numbers(f'--{name}', flag, facts['image_shape'][-1])
    elif known is not None:
      found[name] = known
    elif network.model.num_classes == 100:
      found[name] = getattr(data.published('cifar100'), name)
    else:
      raise UserError(
        f'a network of {network.model.num_classes} classes is not of CIFAR-100: give its --data, '
        'or the --mean and --std that it was trained with'
      )
  return Normalisation(tuple(found['mean']), tuple(found['std']))
