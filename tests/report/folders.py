"""Synthetic run folders: the files that a run leaves, made without training."""

import dataclasses
import json

import numpy as np

NUM_IMAGES = 400
NUM_POOLED = 120
NUM_EXAMPLES = 5
CLASSES = ('ant', 'bee', 'cat', 'dog', 'emu', 'fox', 'gnu', 'hen', 'ibis', 'jay')
RECIPE = {
  'total_epochs': 12,
  'batch_size': 64,
  'momentum': 0.9,
  'drops': [0.625, 0.75, 0.875],
  'drop_factor': 0.1,
}
ENVIRONMENT = {'python': '3.11.7', 'jax': '0.10.2', 'platform': 'cpu', 'device': 'cpu', 'cores': 2}


@dataclasses.dataclass(frozen=True)
class Label:
  """A label of a synthetic run; fields as in a card.

  Attributes:
    top1: approximate accuracy of its trials, in [0, 1].
    aligned: whether it aligns its features with the teacher's.
    size: (q, f), or None without projectors.
    needs_labels: whether its method reads labels; None for a card of before that was said.
  """

  label: str
  top1: float = 0.6
  trials: tuple[int, ...] = (0, 1)
  method: str = ''
  student: str = 'resnet8'
  parameters: int = 100_000
  aligned: bool = False
  size: tuple[int, int] | None = None
  needs_labels: bool | None = None
  hyperparameters: dict = dataclasses.field(default_factory=dict)
  learning_rate: float = 0.05


def run(
  folder,
  labels,
  *,
  teacher='a' * 64,
  seed=0,
  fingerprint='f' * 64,
  outputs=True,
  teacher_card=True,
  epochs=12,
  channels=16,
  num_images=NUM_IMAGES,
  shots=None,
  image_shape=(8, 8, 3),
):
  """Write a run whose accuracies are those of its outputs, and return its folder.

  With `shots`, its cards say so, and its teacher's card is that of a training on all images.
  """
  rng = np.random.default_rng(seed)
  label = (np.arange(num_images) % len(CLASSES)).astype(np.uint16)
  if outputs:
    save_examples(folder, label, image_shape)
  centres = rng.normal(size=(len(CLASSES), channels)) * 2
  dataset = {
    'name': 'toy',
    'source': 'made up',
    'fingerprint': fingerprint,
    'class_names': list(CLASSES),
    'image_shape': list(image_shape),
    'mean': [0.5] * 3,
    'std': [0.2] * 3,
  }
  recipe = {**RECIPE, 'total_epochs': epochs}
  rows = []
  (folder / 'bundles').mkdir(parents=True)
  if teacher and teacher_card:
    top1 = write_outputs(folder, 'teacher', rng, label, centres, 0.7, outputs)
    card = {
      'model': {'family': 'ResNet'},
      'network': 'resnet14x2',
      'dataset': dataset,
      'results': results(top1, agreement=1.0),
      'cost': {'parameters': 693_412, 'multiply_adds': 101_108_224},
    }
    if shots is not None:
      card['training'] = {'holdout': 0.0, 'shots': 0}
    (folder / 'teacher.json').write_text(json.dumps(card))
  count = sum(len(one.trials) for one in labels)
  for one in labels:
    for trial in one.trials:
      name = f'{one.label}-{trial}'
      aim = one.top1 + rng.normal() * 0.004
      own = centres + rng.normal(size=centres.shape) * (0.3 if one.aligned else 2)
      top1 = write_outputs(folder, name, rng, label, own, aim, outputs)
      found = results(top1, agreement=0.6 + 0.3 * one.top1 + rng.normal() * 0.005)
      if one.aligned:
        found['alignment_error'] = 0.15 + rng.normal() * 0.001
      model = {'family': 'ResNet'}
      if one.size:
        model = {'family': 'Distilled', 'num_projectors': one.size[0], 'factor': one.size[1]}
      found['best_on_test'] = {'top1': top1 + 0.004, 'epoch': epochs - 1}
      card = {
        'model': model,
        'label': one.label,
        'network': one.student,
        'dataset': dataset,
        'training': {
          'members': count,
          'recipe': recipe,
          'seed': seed,
          'padding': 4,
          'flip': True,
          'holdout': 0.0,
          'eval_every': 1,
          'member': {
            'label': one.label,
            'student': one.student,
            'method': one.method or one.label,
            'hyperparameters': one.hyperparameters,
            'numbers': {'learning_rate': one.learning_rate, 'weight_decay': 0.0005},
            'trial': trial,
          },
          'teacher': teacher
          and {'digest': teacher, 'model': {'family': 'ResNet'}, 'folder': 'teachers/one'},
          'epoch': epochs,
          'selection': 'last epoch',
          'wall_seconds': 500.0,
          'seconds': 40.0 + one.parameters / 1e4 + rng.normal(),
          'teacher_seconds': 60.0,
        },
        'cost': {'parameters': one.parameters, 'multiply_adds': 120 * one.parameters},
        'results': found,
        'environment': ENVIRONMENT,
      }
      if shots is not None:
        card['training']['shots'] = shots
      if one.needs_labels is not None:
        card['training']['needs_labels'] = one.needs_labels
      write(folder, name, card)
      for epoch in range(1, epochs + 1):
        share = 1 - np.exp(-4 * epoch / epochs)
        rows.append(
          {
            'step': 10 * epoch,
            'epoch': epoch,
            'member': name,
            'label': one.label,
            'train_loss': 4 * np.exp(-3 * epoch / epochs) + one.top1 + rng.random() * 0.02,
            'test_top1': top1 * share + rng.normal() * 0.01 * (epoch < epochs),
          }
        )
  rows.sort(key=lambda row: row['step'])  # Stable: in the order of the members.
  (folder / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
  return folder


def results(top1, agreement):
  return {
    'top1': top1,
    'top5': min(1.0, top1 + 0.3),
    'cross_entropy': 2.2 - top1,
    'calibration_error': 0.02 + abs(top1 - 0.5) / 5,
    'agreement': agreement,
  }


def write_outputs(folder, name, rng, label, centres, top1, keep):
  """Write outputs of about this accuracy, and return their exact accuracy."""
  num_images = len(label)
  predicted = label.copy()
  wrong = rng.permutation(num_images)[: round((1 - top1) * num_images)]
  predicted[wrong] = (label[wrong] + 1) % len(CLASSES)
  sure = rng.beta(4, 2, num_images)
  sure[wrong] *= 0.8
  seen = label[:NUM_POOLED]
  pooled = centres[seen] + rng.normal(size=(len(seen), centres.shape[1]))
  if keep:
    shown = predicted[:NUM_EXAMPLES]
    rest = ((1 - sure[:NUM_EXAMPLES]) / (len(CLASSES) - 1))[:, None]
    likely = np.arange(len(CLASSES)) == shown[:, None]
    probabilities = np.where(likely, sure[:NUM_EXAMPLES, None], rest)
    save(
      folder,
      name,
      label=label,
      predicted=predicted,
      confidence=sure,
      pooled=pooled,
      probabilities=probabilities,
    )
  return float(np.mean(predicted == label))


def save(folder, name, *, label, predicted, confidence, pooled, probabilities=None):
  """Write a member's outputs in the types of a run; an older one had no probabilities."""
  (folder / 'outputs').mkdir(exist_ok=True)
  newer = {} if probabilities is None else {'probabilities': np.asarray(probabilities, np.float32)}
  np.savez(
    folder / 'outputs' / f'{name}.npz',
    label=np.asarray(label, np.uint16),
    predicted=np.asarray(predicted, np.uint16),
    confidence=np.asarray(confidence, np.float32),
    pooled=np.asarray(pooled, np.float16),
    **newer,
  )


def save_examples(folder, label, image_shape):
  """Write the test images that a run keeps; the first ones have different classes."""
  (folder / 'outputs').mkdir(parents=True)
  rng = np.random.default_rng(1)
  np.savez(
    folder / 'outputs' / 'examples.npz',
    position=np.arange(NUM_EXAMPLES),
    label=label[:NUM_EXAMPLES],
    image=rng.integers(0, 256, (NUM_EXAMPLES, *image_shape), np.uint8),
  )


def write(folder, name, card):
  path = folder / 'bundles' / name / 'card.json'
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(card))


def change(folder, name, edit):
  """Change a card in place with a function of it."""
  card = json.loads((folder / 'bundles' / name / 'card.json').read_text())
  edit(card)
  write(folder, name, card)
