"""Evaluates a bundle on its dataset's test images and compares with the bundle's card.

python scripts/evaluate.py --bundle runs/digits/bundles/pidkd-0

--data, --archive, --verify and --image_size name other data than the card does, e.g. for an
imported network.
--projectors says also what each projector of a distilled student is worth by itself.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

from absl import flags

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.cli import card_data
from pidkd_jax.models.distilled import Distilled, split_projectors
from pidkd_jax.core.errors import UserError
from pidkd_jax.evaluation.evaluate import evaluate_metrics
from pidkd_jax.experiment import workdir
from pidkd_jax.training import memory

_BUNDLE = flags.DEFINE_string('bundle', '', 'Folder of the bundle.')
_TEACHER = flags.DEFINE_string(
  'teacher', '', "Folder of its teacher's bundle; by default where the card says it lay."
)
card_data.define_flags()
_PROJECTORS = flags.DEFINE_bool(
  'projectors', False, 'Whether each projector is evaluated by itself, too.'
)
_OWN = flags.DEFINE_multi_string(
  'own', [], 'A network of your own in the bundle, as package.module:Class; repeatable.'
)


def main():
  own = models.families(*_OWN.value)
  judged = bundle.load(workdir.local('--bundle', _BUNDLE.value), own)
  card = judged.card
  dataset = card_data.load(judged, memory.image_limit())
  teacher = _teacher(card, own)
  networks = {'bundle': judged.network, **_apart(judged.network)}
  found = evaluate_metrics(
    networks,
    dataset.test,
    judged.normalisation,
    teacher and teacher.network,
  )
  print(f'{_BUNDLE.value} on the {len(dataset.test)} test images of {dataset.spec.name}')
  for name, value in found.pop('bundle').items():
    before = card.get('results', {}).get(name)
    remark = 'as in the card' if value == before else f'in the card: {before}'
    print(f'  {name:<18} {value!r:<24} {remark if before is not None else ""}'.rstrip())
  for title, measures in found.items():
    figures = [f'{name} {measures[name]:.4f}' for name in _OF_ONE if name in measures]
    print(f'  {title}: {", ".join(figures)}')


_OF_ONE = ('top1', 'agreement', 'alignment_error')


def _apart(network):
  """Each projector by itself, if that is asked for."""
  if not _PROJECTORS.value:
    return {}
  if not isinstance(network.model, Distilled):
    raise UserError(
      f'{_BUNDLE.value!r} holds a {type(network.model).__name__} and no projectors; leave out '
      '--projectors'
    )
  return {f'projector {i}': one for i, one in enumerate(split_projectors(network), start=1)}


def _teacher(card, own):
  """The teacher that agreement is measured with, or None, saying so."""
  known = card.get('training', {}).get('teacher')
  if known is None and not _TEACHER.value:
    return None
  try:
    teacher = bundle.load(workdir.local('--teacher', _TEACHER.value or known['folder']), own)
  except UserError as error:
    if _TEACHER.value:
      raise
    print(f'agreement and alignment are left out: {error}; --teacher says where it is')
    return None
  if known and teacher.digest != known['digest']:
    raise UserError(f'{str(teacher.folder)!r} is not the teacher that the bundle was trained with')
  return teacher


if __name__ == '__main__':
  app.run(main)
