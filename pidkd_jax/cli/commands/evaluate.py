"""Evaluate a bundle on test images, and compare with its card.

    pidkd evaluate --bundle runs/digits/bundles/pidkd-0

    pidkd evaluate --bundle runs/digits/bundles/pidkd-0 --images photos

The card names the data. --data and the flags below it name others, for example
for an imported network. --images takes a folder CLASS/IMAGE as it is; it needs
no data set.
"""

from absl import flags

from pidkd_jax.bundles import labelled_images
from pidkd_jax.bundles.trained_network import TrainedNetwork
from pidkd_jax.cli import bundle_flags, data_flags
from pidkd_jax.core import local_path, screen
from pidkd_jax.core.class_names import class_difference
from pidkd_jax.core.errors import UserError, respelled
from pidkd_jax.evaluation.evaluate import evaluate_metrics
from pidkd_jax.models.distilled import Distilled, split_projectors

FLAGS = flags.FLAGS

# Printed of each projector.
_OF_ONE = ('top1', 'agreement', 'alignment_error')


def define_flags():
  bundle_flags.define()
  bundle_flags.define_teacher()
  flags.DEFINE_bool('projectors', False, 'Evaluate each projector by itself, too.')
  flags.DEFINE_string('images', '', 'Folder of test images, CLASS/IMAGE, in place of a dataset.')
  data_flags.define('Dataset; by default as in the card.')


@respelled({'teacher': '--teacher'})
def main():
  judged = bundle_flags.load(FLAGS.bundle)
  card = judged.card
  test, source, fingerprint = _test(judged)
  teacher = _teacher(judged)
  results = _results(card, fingerprint)
  networks = {'bundle': judged.network, **_projectors(judged.network)}
  metrics = evaluate_metrics(
    networks,
    test,
    judged.normalisation,
    teacher and teacher.network,
  )
  title = f'{FLAGS.bundle} on the {len(test):,} test images of {source}'
  rows = []
  for name, value in metrics.pop('bundle').items():
    before = results.get(name)
    remark = 'as in the card' if value == before else f'in the card: {before}'
    rows.append((name, repr(value), '' if before is None else remark))
  tables = [screen.Table(('measure', 'value', ''), rows, words=(0, 2))]
  if metrics:
    names = [name for name in _OF_ONE if any(name in one for one in metrics.values())]
    cells = [
      (title, *(f'{one[name]:.4f}' if name in one else '' for name in names))
      for title, one in metrics.items()
    ]
    tables.append(screen.Table(('', *names), cells))
  print('\n\n'.join([screen.paragraph(title), *(table.render() for table in tables)]))


def _results(card, fingerprint):
  """Return the card's figures, as far as they are of the dataset with this fingerprint."""
  return card.get('results', {}) if card['dataset'].get('fingerprint') == fingerprint else {}


def _test(judged):
  """Return the test split, where it comes from, and the fingerprint of its dataset."""
  if not FLAGS.images:
    dataset = data_flags.load_for(judged)
    return dataset.test, dataset.spec.name, dataset.spec.fingerprint
  if FLAGS.data or FLAGS.archive:
    raise UserError('--images is in place of --data and --archive; leave one of them out')
  if given := data_flags.given_flags('data_dir', 'verify', 'image_size', 'crop_ratio'):
    raise UserError(f'--images takes a folder as the bundle says, without {given}; leave that out')
  facts = TrainedNetwork(judged)
  folder = local_path.resolve('--images', FLAGS.images)
  split = labelled_images.of_folder(folder, facts.class_names, facts.reader)
  return split, folder, ''


def _projectors(network):
  """Return each projector by itself, if --projectors asks for it."""
  if not FLAGS.projectors:
    return {}
  if not isinstance(network.model, Distilled):
    raise UserError(
      f'{FLAGS.bundle!r} holds a {type(network.model).__name__} and no projectors; leave out '
      '--projectors'
    )
  return {f'projector {i}': one for i, one in enumerate(split_projectors(network), start=1)}


def _teacher(judged):
  """Return the teacher to measure agreement with, or print why there is none."""
  card = judged.card
  teacher, reason = bundle_flags.load_teacher(card)
  if reason:
    print(f'agreement and alignment are left out: {reason}')
  if teacher and not bundle_flags.teacher_digest(card):
    _check_images(judged, teacher)
  if teacher and FLAGS.images and _shape(teacher) != _shape(judged):
    print('agreement and alignment are left out: the teacher sees images of another size')
    return None
  theirs = teacher.card['dataset']['class_names'] if teacher else None
  if difference := class_difference(card['dataset']['class_names'], theirs):
    raise UserError(
      f'{FLAGS.bundle!r} and its teacher do not have the same classes: {difference}; --teacher '
      'says another'
    )
  return teacher


def _check_images(judged, teacher):
  """Raise UserError where a teacher that the card does not name would see other pixels."""
  seen = [(_shape(one), one.normalisation) for one in (judged, teacher)]
  for what, ours, theirs in zip(('image size', 'normalisation'), *seen, strict=True):
    if ours != theirs:
      raise UserError(
        f'{FLAGS.teacher!r} has another {what} than {FLAGS.bundle!r}, whose card names no teacher; '
        '--teacher says another'
      )


def _shape(one):
  return one.card['dataset']['image_shape']
