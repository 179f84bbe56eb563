"""Turns a PyTorch checkpoint of RepDistiller, mdistiller or SimKD into a bundle.

python scripts/import_torch.py --checkpoint X.pth --model resnet32x4 --out teachers/resnet32x4 \\
  --data cifar100
python scripts/import_torch.py --checkpoint student.pth --model resnet8x4 \\
  --teacher teachers/resnet32x4 --out students/simkd

The second is a student of SimKD with its projector. With --data the result is evaluated, and its
card says the classes. Networks: python scripts/networks.py.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import dataclasses
import hashlib
import math

from absl import flags

from pidkd_jax import data, models
from pidkd_jax.bundles import bundle, torch_import
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.evaluation.evaluate import evaluate_metrics
from pidkd_jax.experiment import workdir
from pidkd_jax.training import memory

_CHECKPOINT = flags.DEFINE_string('checkpoint', '', 'PyTorch file.')
_MODEL = flags.DEFINE_string('model', '', 'Name of the network in it.')
_OUT = flags.DEFINE_string('out', '', 'Folder of the bundle.')
_TEACHER = flags.DEFINE_string(
  'teacher', '', "Bundle of a SimKD student's teacher, whose classifier it shares."
)
_OWN = flags.DEFINE_multi_string(
  'own', [], 'A network of your own in the teacher, as package.module:Class; repeatable.'
)
_DATA = flags.DEFINE_string('data', '', 'Dataset that it was trained for; it is evaluated there.')
_DATA_DIR = flags.DEFINE_string('data_dir', '', "TFDS's folder; by default TFDS's own.")
_ARCHIVE = flags.DEFINE_string('archive', '', "The dataset's archive.")
_VERIFY = flags.DEFINE_bool('verify', True, 'Whether the archive must be the official one.')
_IMAGE_SIZE = flags.DEFINE_integer(
  'image_size', None, "Side of its images; by default --data's own, else 32.", lower_bound=8
)
_MEAN = flags.DEFINE_list(
  'mean',
  None,
  "Per-channel mean of pixels in [0, 1] that it was trained with; by default --teacher's, that of "
  "--data's literature, or for 100 classes CIFAR-100's.",
)
_STD = flags.DEFINE_list('std', None, 'Standard deviation, likewise.')


def main():
  if not _CHECKPOINT.value:
    raise UserError('no --checkpoint was given; name a PyTorch file')
  if not _MODEL.value or _MODEL.value.startswith('-'):
    raise UserError('no --model was given; e.g. --model resnet32x4')
  models.create(_MODEL.value, num_classes=1)  # A misspelt name comes out before anything is read.
  path = workdir.local('--checkpoint', _CHECKPOINT.value)
  out = workdir.local('--out', _OUT.value)
  if out.exists():
    raise UserError(f'--out {str(out)!r} is there already; give another folder, or remove it')
  try:
    out.parent.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(
      f'--out {str(out)!r} cannot be written: {error.strerror}; give another folder'
    ) from error
  checkpoint = torch_import.read(path)
  teacher = None
  if _TEACHER.value:
    own = models.families(*_OWN.value)
    teacher = bundle.load(workdir.local('--teacher', _TEACHER.value), own)
  dataset = None
  if _DATA.value:
    dataset = data.load(
      _DATA.value,
      directory=_DATA_DIR.value,
      archive=_ARCHIVE.value,
      verify=_VERIFY.value,
      image_size=_IMAGE_SIZE.value or 0,
      limit=memory.image_limit(),
    )
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
    'network': _MODEL.value,
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
  print(f'{_OUT.value}: {_MODEL.value}, {network.model.num_classes} classes, {spent}')
  print(f'  normalised by mean {normalisation.mean} and std {normalisation.std}')
  if dataset:
    print(f'  on the {len(dataset.test)} test images of {dataset.spec.name}')
  for name, value in card.get('results', {}).items():
    print(f'    {name:<18} {value!r}')


def _facts(dataset, teacher):
  """What is known of the data; the normalisation may still be open."""
  if dataset:
    return bundle.dataset_card(
      dataset.spec, data.published(_DATA.value) or dataset.spec.normalisation
    )
  if teacher:
    return dict(teacher.card['dataset'])
  size = _IMAGE_SIZE.value or 32
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
        f"--teacher is for SimKD's students, and {_CHECKPOINT.value!r} has no 'proj'; leave it out"
      )
    return torch_import.network(checkpoint.model, _MODEL.value)
  if not teacher:
    raise UserError(
      f"{_CHECKPOINT.value!r} is a student of SimKD (it has 'proj'): import its teacher first, and "
      "give that one's bundle with --teacher"
    )
  return torch_import.distilled(checkpoint, _MODEL.value, teacher.network, image_shape)


def _normalisation(facts, network):
  """The user's, or the data's, or that which all of the literature has for CIFAR-100."""
  found = {}
  for name, flag in ('mean', _MEAN.value), ('std', _STD.value):
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
  if flag == '--std' and min(numbers) == 0:
    raise UserError(f'{flag}={",".join(values)} has a 0, which nothing can be divided by')
  if not all(0 <= number <= 1 for number in numbers):
    raise UserError(f'{flag}={",".join(values)} is of pixels in [0, 1]; divide those of 0 to 255')
  return numbers


def _check(network, spec):
  if (spec.num_classes, spec.image_shape[-1]) != (network.model.num_classes, 3):
    raise UserError(
      f'{_CHECKPOINT.value!r} is for colour images of {network.model.num_classes} classes, and '
      f'{spec.name} has {spec.num_classes} classes and {spec.image_shape[-1]} channels; give the '
      'data that it was trained for'
    )


if __name__ == '__main__':
  app.run(main)
