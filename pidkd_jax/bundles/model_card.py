"""A bundle's model card for people: Markdown, made from its card.json alone.

Source: Mitchell et al. 2019, arXiv:1810.03993. The card has the sections of the source that
card.json has something for.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pidkd_jax.core.card import optimizer_hparams

# {metric of card.json: (its meaning, whether it is a share)}.
_METRICS = {
  'top1': ('top-1: images whose likeliest class is theirs', True),
  'top5': ('top-5: images whose class is among the five likeliest', True),
  'cross_entropy': ('cross-entropy, nats', False),
  'calibration_error': ('expected calibration error, 15 bins', True),
  'agreement': ('images on which it predicts what its teacher predicts', True),
  'alignment_error': ("squared distance to the teacher's map over that map's square", False),
}
# The number of classes whose names are printed.
_MAX_CLASSES = 20

_CAVEATS = (
  'It names one of its classes for any image, even for an image that shows none of them, and may '
  'do so with high confidence.',
  'Its figures hold for images like the test images. Accuracy was not measured by groups of '
  'people or places, by camera, or under corruption. The effects of its use were not considered.',
  'Bias of the data or of the teacher is likely to be in it too.',
)


def text(card: Mapping[str, Any]) -> str:
  """Return the model card, Markdown.

  Args:
    card: as `bundle.save` writes it. Entries that it lacks are left out.
  """
  sections = {
    'Model details': _details(card),
    'Intended use': _use(card),
    'Training data': _training_data(card),
    'Training': _training(card),
    'Evaluation': _evaluation(card),
    'Cost': _cost(card),
    'Caveats': _bullets(_CAVEATS),
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
  lines = [f'Network: `{_network(card["model"])}`']
  if member:
    described = filter(None, (member['method'], _pairs(member['hyperparameters'])))
    lines.append(f'Method: {", ".join(described)}')
  if teacher:
    shared = ', whose classifier it shares' if 'teacher' in card['model'] else ''
    lines.append(
      f'Teacher: `{_network(teacher["model"])}`, digest {teacher["digest"][:8]}...{shared}'
    )
  if 'imported' in card:
    origin = card['imported']
    if 'weights' in origin:  # They were downloaded.
      lines.append(f'Imported from {origin["weights"]}')
    else:
      lines.append(f'Imported from `{origin["file"]}`, SHA-256 {origin["sha256"]}')
  if environment:
    lines.append(f'Made with: {", ".join(f"{key} {value}" for key, value in environment.items())}')
  exported = card['model']['family'] == 'Exported'
  encoder = '`encoder.stablehlo` (the computation before the classifier), ' if exported else ''
  lines.append(
    'Files: `variables.npz` (arrays), `card.json` (the content of this page, for programs), '
    f'{encoder}`manifest.json` (SHA-256 of the others)'
  )
  return _bullets(lines)


def _use(card: Mapping[str, Any]) -> str:
  dataset = card['dataset']
  height, width, channels = dataset['image_shape']
  names = dataset['class_names']
  classes = f'{card["model"]["num_classes"]}, without names'
  if names:
    more = f' and {len(names) - _MAX_CLASSES} more' if len(names) > _MAX_CLASSES else ''
    classes = f'{len(names)}: {", ".join(names[:_MAX_CLASSES])}{more}'
  return '\n'.join(
    [
      f'It predicts which of its classes an image shows. Images are {width}x{height} pixels with '
      f'{channels} channel{"s" if channels > 1 else ""}.',
      '',
      _bullets(
        [
          f'Classes: {classes}',
          'Normalisation, done by `predict`: pixels scaled to [0, 1], minus '
          f'{_rounded(dataset["mean"])}, over {_rounded(dataset["std"])}',
        ]
      ),
      '',
      '```python',
      'import pidkd_jax as kd',
      '',
      "student = kd.load('THIS_FOLDER')",
      f'images = ...  # names of files, or uint8 [N, {height}, {width}, {channels}]',
      'student.predict(images)  # float32 [N, classes]; student.top(images) has their names',
      '```',
    ]
  )


def _training_data(card: Mapping[str, Any]) -> str:
  dataset = card['dataset']
  lines = [dataset['source']] if dataset.get('source') else []
  if dataset.get('fingerprint'):
    lines.append(f'Fingerprint of the arrays: {dataset["fingerprint"][:8]}...')
  training = card.get('training', {})
  if 'padding' in training:
    flip = 'mirrored at random' if training['flip'] else 'never mirrored'
    crop = f'padded by {training["padding"]} pixels, cropped at random'
    if training.get('crop', 'pad') == 'resized':
      low, high = training['crop_scale']
      crop = f'cropped at random to {low:.0%} to {high:.0%} of their area, resized'
    lines.append(f'Images are {crop}, and {flip}')
  if training.get('holdout'):
    lines.append(f'{training["holdout"]:.0%} of the training images were held out')
  return _bullets(lines)


def _training(card: Mapping[str, Any]) -> str:
  training = card.get('training', {})
  if not {'recipe', 'member', 'seed', 'epoch', 'selection'} <= training.keys():
    return ''
  member = training['member']
  return _bullets(
    [
      f'Recipe: {_pairs(training["recipe"])}',
      f'Own settings: {_pairs(optimizer_hparams(member))}',
      f'Seed {training["seed"]}, trial {member["trial"]}',
      f'Weights: {training["selection"]} (epoch {training["epoch"]})',
    ]
  )


def _evaluation(card: Mapping[str, Any]) -> str:
  results = card.get('results', {})
  metrics = [name for name in _METRICS if isinstance(results.get(name), int | float)]
  if not metrics:
    return ''
  lines = [
    f'On the test images of {card["dataset"]["name"]}.',
    '',
    '| metric | value |',
    '|--|--|',
  ]
  for name in metrics:
    meaning, share = _METRICS[name]
    value = f'{100 * results[name]:.2f}%' if share else f'{results[name]:.4f}'
    lines.append(f'| {meaning} | {value} |')
  best = results.get('best_on_test')
  if best:
    lines += [
      '',
      f'Its best epoch on the same images had {100 * best["top1"]:.2f}% top-1, after epoch '
      f'{best["epoch"]}. That figure is optimistic, as these images picked the epoch.',
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
  return _bullets(lines)


def _network(model: Mapping[str, Any]) -> str:
  """Return a network's description in one line, `Family(field=value, ...)`."""
  fields = ', '.join(f'{key}={_value(value)}' for key, value in model.items() if key != 'family')
  return f'{model["family"]}({fields})'


def _value(value: Any) -> str:
  return _network(value) if isinstance(value, Mapping) else json.dumps(value)


def _pairs(values: Mapping[str, Any]) -> str:
  return ', '.join(f'{key} {json.dumps(value)}' for key, value in values.items())


def _rounded(values: Iterable[float]) -> str:
  return ', '.join(f'{value:.4g}' for value in values)


def _bullets(lines: Iterable[str]) -> str:
  return '\n'.join(f'- {line}' for line in lines)
