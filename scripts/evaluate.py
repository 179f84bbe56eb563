"""Evaluates a bundle on its dataset's test images and compares with the bundle's card.

python scripts/evaluate.py --bundle runs/digits/bundles/pidkd-0
"""

from pidkd_jax import app  # First: it sets the process up before JAX is imported.

from absl import flags

from pidkd_jax import bundle, data
from pidkd_jax.errors import UserError
from pidkd_jax.evaluation.evaluate import evaluate
from pidkd_jax.training import workdir

_BUNDLE = flags.DEFINE_string('bundle', '', 'Folder of the bundle.')
_TEACHER = flags.DEFINE_string(
  'teacher', '', "Folder of its teacher's bundle; by default where the card says it lay."
)
_DATA_DIR = flags.DEFINE_string('data_dir', '', "TFDS's folder; by default TFDS's own.")
_ARCHIVE = flags.DEFINE_string(
  'archive', '', "The dataset's archive; by default where the card says it lay."
)


def main():
  judged = bundle.load(workdir.local('--bundle', _BUNDLE.value))
  card = judged.card
  dataset = data.load(
    card['dataset']['format'],
    directory=_DATA_DIR.value,
    archive=_ARCHIVE.value or card['dataset']['archive'],
    verify=card['dataset']['name'] == card['dataset']['format'],
  )
  if dataset.spec.fingerprint != card['dataset']['fingerprint']:
    raise UserError(
      f'{dataset.spec.name} is not the data that the bundle was evaluated on '
      f'({card["dataset"]["name"]}, fingerprint {card["dataset"]["fingerprint"][:8]}...); '
      'give its archive with --archive'
    )
  teacher = _teacher(card)
  [found] = evaluate(
    {'bundle': judged.network},
    dataset.test,
    card['dataset']['mean'],
    card['dataset']['std'],
    teacher and teacher.network,
  ).values()
  print(f'{_BUNDLE.value} on the {len(dataset.test)} test images of {dataset.spec.name}')
  for name, value in found.items():
    before = card.get('results', {}).get(name)
    remark = 'as in the card' if value == before else f'in the card: {before}'
    print(f'  {name:<18} {value!r:<24} {remark}')


def _teacher(card):
  """The teacher that agreement is measured with, or None, saying so."""
  known = card.get('training', {}).get('teacher')
  if known is None and not _TEACHER.value:
    return None
  try:
    teacher = bundle.load(workdir.local('--teacher', _TEACHER.value or known['folder']))
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
