"""The experimental protocol of a comparison in sentences: data, recipe, selection, teacher."""

import dataclasses
from collections.abc import Collection

from pidkd_jax.report.card import Card
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.training.recipe import Recipe

SHARED = (
  'Trials share teacher, data order and augmentation. A trial starts from the same student weights '
  "in every method. Other initial weights and a method's own randomness are not shared."
)


def sentences(comparison: Comparison) -> list[str]:
  """Return data, recipe, selection, teacher, seeds, time and versions, one item for each."""
  card = comparison.card
  dataset, training = card['dataset'], card['training']
  recipe = training['recipe']
  epochs = {
    trial.value('training', 'epoch')
    for trials in comparison.labels.values()
    for trial in trials.values()
  }
  few = ''
  if comparison.shots:
    few = f' Students saw {comparison.shots} training images of each class, all rows the same ones.'
  if unlabelled := training.get('unlabelled'):
    few += f' They also saw {unlabelled["images"]:,} images without labels.'
  return [
    f'Data: {dataset["name"]} ({dataset["source"]}); the results are on its test images.{few}',
    # Older cards have no precision, as float32 was the only one.
    f'Students: {recipe["total_epochs"]} epochs, batch {recipe["batch_size"]}, '
    f'{recipe.get("precision", "float32")}, seed {training["seed"]}, {_trials(comparison)}, '
    f'momentum {recipe["momentum"]}, {_schedule(recipe)}, {_crop(training)}, '
    f'flips {training["flip"]}.',
    *_further(recipe),
    f'Selection: {training["selection"]}'
    + _choice(training)
    + f'; epoch {", ".join(map(str, sorted(epochs)))}.',
    f'Teacher: {_teacher(comparison)}.',
    *_times(comparison),
    *diverged(comparison),
    *(f'Made with {versions}.' for versions in _environments(comparison)),
  ]


def _choice(training: Card) -> str:
  """Return how a hold-out chose the epoch; '' without one."""
  if not training['holdout']:
    return ''
  every = training.get('eval_every', 1)
  among = 'every epoch' if every == 1 else f'every {every} epochs'
  return f' ({training["holdout"]} of the training images, evaluated {among})'


# The fields of the recipe that a sentence of their own tells.
_TOLD = ('total_epochs', 'batch_size', 'precision', 'momentum', 'schedule', 'drops', 'drop_factor')


def _schedule(recipe: Card) -> str:
  if recipe.get('schedule', Recipe.schedule) == Recipe.schedule:
    return f'learning rate times {recipe["drop_factor"]} after {list(recipe["drops"])} of them'
  return f'learning rate by the schedule {recipe["schedule"]}'


def _further(recipe: Card) -> list[str]:
  """Return a sentence of the settings that are not the published ones."""
  used = [
    f'{field.name} {recipe[field.name]}'
    for field in dataclasses.fields(Recipe)
    if field.name not in _TOLD and recipe.get(field.name, field.default) != field.default
  ]
  return [f'Further settings of the recipe: {", ".join(used)}.'] if used else []


def _crop(training: Card) -> str:
  # Older cards have no crop, as the padded one was the only choice.
  if training.get('crop', 'pad') == 'pad':
    return f'crop padding {training["padding"]}'
  low, high = training['crop_scale']
  return f'crops of {low:.0%} to {high:.0%} of the area, resized'


def _trials(comparison: Comparison) -> str:
  """Return how many trials a label has."""
  counts = {len(trials) for trials in comparison.labels.values()}
  fewest, most = min(counts), max(counts)
  if fewest < most:
    return f'{fewest} to {most} trials'
  return f'{most} trial{"s" * (most > 1)}'


def _teacher(comparison: Comparison) -> str:
  teacher = comparison.card['training']['teacher']
  if teacher is None:
    return 'none'
  text = f'{comparison.teacher_name}, digest {teacher["digest"][:8]}...'
  if comparison.teacher is None:
    text += "; the run does not keep the teacher's accuracy"
  return text


def _times(comparison: Comparison) -> list[str]:
  """Return a sentence for each cohort whose card has its times."""
  sentences = []
  for run in comparison.runs:
    training = run.card['training']
    if training.get('wall_seconds') is None:
      continue
    # Cards of older versions do not have it apart.
    compiled = training.get('compile_seconds')
    compilation = 'included' if compiled is None else f'took another {compiled:.0f} s'
    text = (
      f'Time: a cohort of {training["members"]} trained in {training["wall_seconds"]:.0f} s, '
      f'compilation {compilation}'
    )
    if training.get('seconds') is not None and training.get('teacher_seconds') is not None:
      text += (
        "; each member's own updates are estimated from a sample of steps; the teacher's "
        f'forward passes, once for all of them, took {training["teacher_seconds"]:.0f} s'
      )
    sentences.append(f'{text}.')
  return sentences


def diverged(comparison: Comparison) -> list[str]:
  """Return a sentence that names the members that were left out; [] where there are none."""
  steps = {member: step for run in comparison.runs for member, step in run.diverged.items()}
  if not steps:
    return []
  members = ', '.join(f'{member} at step {step}' for member, step in steps.items())
  return [f'Diverged, and left out of every table: {members}.']


def _environments(comparison: Comparison) -> Collection[str]:
  return dict.fromkeys(
    ', '.join(f'{name} {value}' for name, value in run.card['environment'].items())
    for run in comparison.runs
  )
