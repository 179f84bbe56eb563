"""What must be known to read a table."""

from collections.abc import Sequence

from pidkd_jax.report.runs import Comparison

SHARED = (
  'Trials share teacher, data order and augmentation, and a trial starts from the same student in '
  "every method; other initial weights and a method's own randomness are not shared."
)


def facts(comparison: Comparison) -> list[str]:
  """Data, recipe, selection, teacher, seeds, time and versions, a sentence or two each."""
  card = comparison.card
  dataset, training = card['dataset'], card['training']
  recipe = training['recipe']
  epochs = {
    trial.value('training', 'epoch')
    for trials in comparison.labels.values()
    for trial in trials.values()
  }
  return [
    f'Data: {dataset["name"]} ({dataset["source"]}); the results are on its test images.',
    # A card from before there was a choice does not say.
    f'Students: {recipe["total_epochs"]} epochs, batch {recipe["batch_size"]}, '
    f'{recipe.get("precision", "float32")}, seed {training["seed"]}, {_trials(comparison)}, '
    f'momentum {recipe["momentum"]}, learning rate times {recipe["drop_factor"]} after '
    f'{list(recipe["drops"])} of them, crop padding {training["padding"]}, '
    f'flips {training["flip"]}.',
    f'Selection: {training["selection"]}'
    + (f' ({training["holdout"]} of the training images)' if training['holdout'] else '')
    + f'; epoch {", ".join(map(str, sorted(epochs)))}.',
    f'Teacher: {_teacher(comparison)}.',
    *_times(comparison),
    *_diverged(comparison),
    *(f'Made with {versions}.' for versions in _environments(comparison)),
  ]


def _trials(comparison: Comparison) -> str:
  counts = {len(trials) for trials in comparison.labels.values()}
  numbers = {number for trials in comparison.labels.values() for number in trials}
  if len(counts) > 1:
    return f'{min(counts)} to {max(counts)} trials'
  return f'{len(numbers)} trial{"s" * (len(numbers) > 1)}'


def _teacher(comparison: Comparison) -> str:
  known = comparison.card['training']['teacher']
  if known is None:
    return 'none'
  text = f'{comparison.teacher_name}, digest {known["digest"][:8]}...'
  if comparison.teacher is None:
    text += '; the run does not keep how good it is'
  return text


def _times(comparison: Comparison) -> list[str]:
  """A sentence for each cohort that knows its times."""
  found = []
  for run in comparison.runs:
    training = run.card['training']
    if 'wall_seconds' not in training:
      continue
    text = (
      f'Time: a cohort of {training["members"]} trained in {training["wall_seconds"]:.0f} s, '
      'compilation included'
    )
    if 'seconds' in training:
      text += (
        "; each member's own updates are estimated from a sample of steps; the teacher's "
        f'forward passes, once for all of them, took {training["teacher_seconds"]:.0f} s'
      )
    found.append(f'{text}.')
  return found


def _diverged(comparison: Comparison) -> list[str]:
  left_out = {name: step for run in comparison.runs for name, step in run.diverged.items()}
  if not left_out:
    return []
  members = ', '.join(f'{name} at step {step}' for name, step in left_out.items())
  return [f'Diverged and so in no table: {members}.']


def _environments(comparison: Comparison) -> Sequence[str]:
  return dict.fromkeys(
    ', '.join(f'{name} {value}' for name, value in run.card['environment'].items())
    for run in comparison.runs
  )
