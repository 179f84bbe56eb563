"""What people read of a bundle: a model card in Markdown, made of its card.json alone.

Source: Mitchell et al. 2019, arXiv:1810.03993, whose sections it has where there is something to
say.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pidkd_jax.core.card import optimizer_hparams

# What each measure of card.json is, and whether it is a share.
_MEASURES = {
  'top1': ('top-1: images whose likeliest class is theirs', True),
  'top5': ('top-5: images whose class is among the five likeliest', True),
  'cross_entropy': ('cross-entropy, nats', False),
  'calibration_error': ('expected calibration error, 15 bins', True),
  'agreement': ('images on which it predicts what its teacher predicts', True),
  'alignment_error': ("squared distance to the teacher's map over that map's square", False),
}
_MOST_CLASSES = 20

_CAVEATS = (
  'It names one of its classes for any image, also for one that shows none of them, and may be '
  'sure of it.',
  'Its figures hold for images like the test images. Accuracy was not measured by groups of '
  'people or places, by camera, or under corruption, nor were the effects of its use considered.',
  'Bias that lies in the data, or that the teacher has learned, is likely to be in it too.',
)


def text(card: Mapping[str, Any]) -> str:
  """The model card, Markdown.

  Args:
    card: as `bundle.save` writes it; what it does not say is left out.
  """
  sections = {
    'Model details': _details(card),
    'Intended use': _use(card),
    'Training data': _training_data(card),
    'Training': _training(card),
    'Evaluation': _evaluation(card),
    'Cost': _cost(card),
    'Caveats': _listed(_CAVEATS),
  }
  parts = [f'# {_title(card)}']
  parts += [f'## {title}\n\n{body}' for title, body in sections.items() if body]
  return '\n\n'.join(parts) + '\n'


def _title(card: Mapping[str, Any]) -> str:
  network = card.get('network', card['model']['family'])
  data = card['dataset']['name']
  return f'{network}{f" for {data}" if data else ""}'


def _details(card: Mapping[str, Any]) -> str:
  training, environment = card.get('training', {}), card.get('environment', {})
  teacher, member = training.get('teacher'), training.get('member')
  lines = [f'Network: `{_written(card["model"])}`']
  if member:
    lines.append(f'Method: {member["method"]}, {_fields(member["hyperparameters"])}')
  if teacher:
    shared = ', whose classifier it shares' if 'teacher' in card['model'] else ''
    lines.append(
      f'Teacher: `{_written(teacher["model"])}`, digest {teacher["digest"][:8]}...{shared}'
    )
  if 'imported' in card:
    file = card['imported']
    lines.append(f'Imported from `{file["file"]}`, SHA-256 {file["sha256"]}')
  if environment:
    lines.append(f'Made with: {", ".join(f"{key} {value}" for key, value in environment.items())}')
  lines.append(
    'Files: `variables.npz` (arrays), `card.json` (all that is said here, for programs), '
    '`manifest.json` (SHA-256 of the two)'
  )
  return _listed(lines)


def _use(card: Mapping[str, Any]) -> str:
  facts = card['dataset']
  height, width, channels = facts['image_shape']
  names = facts['class_names']
  classes = f'{card["model"]["num_classes"]}, without names'
  if names:
    more = f' and {len(names) - _MOST_CLASSES} more' if len(names) > _MOST_CLASSES else ''
    classes = f'{len(names)}: {", ".join(names[:_MOST_CLASSES])}{more}'
  return '\n'.join(
    [
      f'Says which of its classes an image shows; images are {width}x{height} pixels with '
      f'{channels} channel{"s" if channels > 1 else ""}.',
      '',
      _listed(
        [
          f'Classes: {classes}',
          'Normalisation, which `predict` does: pixels scaled to [0, 1], minus '
          f'{_rounded(facts["mean"])}, over {_rounded(facts["std"])}',
        ]
      ),
      '',
      '```python',
      'import pidkd_jax',
      '',
      "student = pidkd_jax.load('THIS_FOLDER')",
      f'images = ...  # uint8 [N, {height}, {width}, {channels}]',
      'student.predict(images)  # float32 [N, classes]; student.top(images) has their names',
      '```',
    ]
  )


def _training_data(card: Mapping[str, Any]) -> str:
  facts = card['dataset']
  lines = [facts[name] for name in ('source',) if facts.get(name)]
  if facts.get('fingerprint'):
    lines.append(f'Fingerprint of the arrays: {facts["fingerprint"][:8]}...')
  training = card.get('training', {})
  if 'padding' in training:
    flip = 'mirrored at random' if training['flip'] else 'never mirrored'
    lines.append(
      f'Images are padded by {training["padding"]} pixels, cropped at random, and {flip}'
    )
  if training.get('holdout'):
    lines.append(f'{training["holdout"]:.0%} of the training images were held out')
  return _listed(lines)


def _training(card: Mapping[str, Any]) -> str:
  training = card.get('training', {})
  if not {'recipe', 'member', 'seed', 'epoch', 'selection'} <= training.keys():
    return ''
  member = training['member']
  return _listed(
    [
      f'Recipe: {_fields(training["recipe"])}',
      f'Own settings: {_fields(optimizer_hparams(member))}',
      f'Seed {training["seed"]}, trial {member["trial"]}',
      f'What is kept: {training["selection"]} (epoch {training["epoch"]})',
    ]
  )


def _evaluation(card: Mapping[str, Any]) -> str:
  results = card.get('results', {})
  known = [name for name in _MEASURES if isinstance(results.get(name), int | float)]
  if not known:
    return ''
  lines = [
    f'On the test images of {card["dataset"]["name"]}.',
    '',
    '| measure | value |',
    '|--|--|',
  ]
  for name in known:
    meaning, share = _MEASURES[name]
    value = f'{100 * results[name]:.2f}%' if share else f'{results[name]:.4f}'
    lines.append(f'| {meaning} | {value} |')
  best = results.get('best_on_test')
  if best:
    lines += [
      '',
      f'Its best epoch on the same images, which is optimistic as they picked it: '
      f'{100 * best["top1"]:.2f}% top-1 after epoch {best["epoch"]}.',
    ]
  return '\n'.join(lines)


def _cost(card: Mapping[str, Any]) -> str:
  cost = card.get('cost', {})
  lines = [
    f'{title}: {cost[name]:,}'
    for name, title in (
      ('parameters', 'Parameters, running statistics not counted'),
      ('multiply_adds', 'Multiply-adds of one image'),
    )
    if name in cost
  ]
  return _listed(lines)


def _written(model: Mapping[str, Any]) -> str:
  """A network's description in one line, `Family(field=value, ...)`."""
  fields = ', '.join(f'{key}={_value(value)}' for key, value in model.items() if key != 'family')
  return f'{model["family"]}({fields})'


def _value(value: Any) -> str:
  return _written(value) if isinstance(value, Mapping) else json.dumps(value)


def _fields(values: Mapping[str, Any]) -> str:
  return ', '.join(f'{key} {json.dumps(value)}' for key, value in values.items())


def _rounded(values: Iterable[float]) -> str:
  return ', '.join(f'{value:.4g}' for value in values)


def _listed(lines: Iterable[str]) -> str:
  return '\n'.join(f'- {line}' for line in lines)
