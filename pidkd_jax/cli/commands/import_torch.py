"""Turn a PyTorch checkpoint into a bundle.

    pidkd import-torch --checkpoint X.pth --model resnet32x4 --data cifar100 \\
        --out teachers/resnet32x4

Files of RepDistiller, mdistiller and SimKD are read. With --data the bundle is
evaluated, and its card names the classes. SimKD's students come with their
projector, and need their teacher: --teacher. `pidkd networks` lists the models.
"""

import dataclasses
import hashlib
import math

from absl import flags

from pidkd_jax import data, models
from pidkd_jax.bundles import bundle, torch_import
from pidkd_jax.cli import bundle_flags, data_flags
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import LEAST_STD, Normalisation
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.evaluation.evaluate import evaluate_metrics

FLAGS = flags.FLAGS


def define_flags():
  flags.DEFINE_string('checkpoint', '', 'PyTorch file.')
  flags.DEFINE_string('model', '', 'Name of the network in it.')
  flags.DEFINE_string('out', '', 'Folder of the bundle.')
  flags.DEFINE_string('teacher', '', "Bundle of a SimKD student's teacher.")
  flags.DEFINE_string('key', '', 'Entry that holds the state dict; by default the usual.')
  flags.DEFINE_string('prefix', '', 'Beginning of its keys; by default what they share.')
  bundle_flags.define_own()
  data_flags.define('Dataset that the network was trained for.', least_size=8)
  flags.DEFINE_list(
    'mean',
    None,
    "Mean of each channel, pixels in [0, 1]; by default --teacher's, --data's in the literature, "
    "or for 100 classes CIFAR-100's.",
  )
  flags.DEFINE_list('std', None, 'Standard deviation of each channel; by default as for --mean.')


def main():
  if not FLAGS.checkpoint:
    raise UserError('no --checkpoint was given; name a PyTorch file')
  if not FLAGS.model or FLAGS.model.startswith('-'):
    raise UserError(f'no --model was given; {_suggestion()}')
  models.create(FLAGS.model, num_classes=1)  # A misspelt name comes out before anything is read.
  path = local_path.resolve('--checkpoint', FLAGS.checkpoint)
  out = local_path.resolve('--out', FLAGS.out)
  if out.exists():
    raise UserError(f'--out {str(out)!r} is there already; give another folder, or remove it')
  try:
    out.parent.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(
      f'--out {str(out)!r} cannot be written: {error.strerror}; give another folder'
    ) from error
  checkpoint = torch_import.read(path, FLAGS.key, FLAGS.prefix)
  teacher = bundle_flags.load(FLAGS.teacher, '--teacher') if FLAGS.teacher else None
  dataset = data_flags.load() if FLAGS.data else None
  facts = _facts(dataset, teacher)
  network = _network(checkpoint, teacher, tuple(facts['image_shape']))
  if dataset:
    _check(network, dataset.spec)
  normalisation = _normalisation(facts, network)
  facts |= {'mean': normalisation.mean, 'std': normalisation.std}
  spent = cost(network, tuple(facts['image_shape']))
  with path.open('rb') as file:
    digest = hashlib.file_digest(file, 'sha256').hexdigest()
  card = {
    'network': FLAGS.model,
    'dataset': facts,
    'imported': {'file': path.name, 'sha256': digest},
    'cost': dataclasses.asdict(spent),
  }
  if teacher:
    card['training'] = {'teacher': teacher.reference()}
  if dataset:
    [card['results']] = evaluate_metrics(
      {'': network}, dataset.test, normalisation, teacher and teacher.network
    ).values()
  bundle.save(out, network, card)
  print(f'{FLAGS.out}: {FLAGS.model}, {network.model.num_classes} classes, {spent}')
  for note in checkpoint.notes:
    print(f'  {note}')
  print(f'  normalised by mean {normalisation.mean} and std {normalisation.std}')
  if dataset:
    print(f'  on the {len(dataset.test)} test images of {dataset.spec.name}')
  for name, value in card.get('results', {}).items():
    print(f'    {name:<18} {value!r}')


def _suggestion():
  """Return what the checkpoint is, or an example where it cannot be read."""
  try:
    path = local_path.resolve('--checkpoint', FLAGS.checkpoint)
    return torch_import.suggestion(torch_import.read(path, FLAGS.key, FLAGS.prefix))
  except UserError:
    return 'e.g. --model resnet32x4'


def _facts(dataset, teacher):
  """Return what the card says of the data; the normalisation may still be open."""
  if dataset:
    return bundle.dataset_card(
      dataset.spec, data.published(FLAGS.data) or dataset.spec.normalisation
    )
  if teacher:
    return dict(teacher.card['dataset'])
  size = FLAGS.image_size or 32
  return {
    'name': None,
    'class_names': None,
    'image_shape': (size, size, 3),
    'mean': None,
    'std': None,
  }


def _network(checkpoint, teacher, image_shape):
  if checkpoint.projector is None:
    if teacher:
      raise UserError(
        f"--teacher is for SimKD's students, and {FLAGS.checkpoint!r} has no 'proj'; leave it out"
      )
    return torch_import.network(checkpoint.model, FLAGS.model)
  if not teacher:
    raise UserError(
      f"{FLAGS.checkpoint!r} is a student of SimKD (it has 'proj'): import its teacher first, and "
      "give that one's bundle with --teacher"
    )
  return torch_import.distilled(checkpoint, FLAGS.model, teacher.network, image_shape)


def _normalisation(facts, network):
  """Return the normalisation: the user's, the data's, or the literature's for CIFAR-100."""
  found = {}
  for name, flag in ('mean', FLAGS.mean), ('std', FLAGS.std):
    known = facts[name]
    if flag is not None:
      found[name] = _numbers(f'--{name}', flag, facts['image_shape'][-1])
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


def _numbers(flag, values, count):
  try:
    numbers = tuple(float(value) for value in values)
  except ValueError:
    numbers = ()
  if len(numbers) != count or not all(map(math.isfinite, numbers)):
    raise UserError(f'{flag}={",".join(values)} is not {count} numbers, e.g. 0.5071,0.4867,0.4408')
  if flag == '--std' and min(numbers) < LEAST_STD:
    raise UserError(
      f'{flag}={",".join(values)} has a {min(numbers):g}, which nothing can be divided by'
    )
  if not all(0 <= number <= 1 for number in numbers):
    raise UserError(f'{flag}={",".join(values)} is of pixels in [0, 1]; divide those of 0 to 255')
  return numbers


def _check(network, spec):
  if (spec.num_classes, spec.image_shape[-1]) != (network.model.num_classes, 3):
    raise UserError(
      f'{FLAGS.checkpoint!r} is for colour images of {network.model.num_classes} classes, and '
      f'{spec.name} has {spec.num_classes} classes and {spec.image_shape[-1]} channels; give the '
      'data that it was trained for'
    )
