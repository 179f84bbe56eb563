"""A model card says what card.json says, and no more."""

import pytest

from pidkd_jax.bundles import bundle, model_card

MODEL = {
  'family': 'Distilled',
  'num_classes': 25,
  'student': {'family': 'ResNet', 'num_classes': 25, 'depth': 8, 'widths': [16, 16, 32, 64]},
  'integration': 'mean',
}
DATASET = {
  'name': 'unverified_photos',
  'source': 'photos.tar.gz, not the official archive',
  'class_names': [f'class-{i}' for i in range(25)],
  'image_shape': (32, 48, 3),
  'mean': (0.5, 0.25, 1 / 3),
  'std': (0.2, 0.2, 0.1),
  'fingerprint': 'abcdef0123456789',
}
CARD = {
  'model': MODEL,
  'label': 'pidkd',
  'network': 'resnet8',
  'dataset': DATASET,
  'training': {
    'member': {
      'method': 'pidkd',
      'hyperparameters': {'num_projectors': 3},
      'numbers': {'learning_rate': 0.05},
      'trial': 1,
    },
    'recipe': {'total_epochs': 240, 'batch_size': 64},
    'seed': 7,
    'padding': 4,
    'flip': True,
    'holdout': 0.1,
    'teacher': {'model': {'family': 'VGG', 'depth': 13}, 'digest': '0123456789abcdef'},
    'epoch': 231,
    'selection': 'best epoch on the hold-out',
  },
  'cost': {'parameters': 1234567, 'multiply_adds': 21900000},
  'results': {
    'top1': 0.57491,
    'cross_entropy': 1.39712,
    'alignment_error': 0.17654,
    'best_on_test': {'top1': 0.58, 'epoch': 200},
  },
  'environment': {'python': '3.11.7', 'jax': '0.10.2'},
}


def section(text, title):
  return text.partition(f'\n## {title}\n')[2].partition('\n## ')[0]


def test_it_says_what_the_card_says():
  text = model_card.text(CARD)
  assert text.startswith('# resnet8 for unverified_photos\n')
  details = section(text, 'Model details')
  assert 'student=ResNet(num_classes=25, depth=8, widths=[16, 16, 32, 64])' in details
  assert 'Method: pidkd, num_projectors 3' in details
  assert 'Teacher: `VGG(depth=13)`, digest 01234567...' in details
  assert 'Made with: python 3.11.7, jax 0.10.2' in details
  use = section(text, 'Intended use')
  assert '48x32 pixels with 3 channels' in use and 'uint8 [N, 32, 48, 3]' in use
  assert 'Classes: 25: class-0, ' in use and 'class-19 and 5 more' in use
  assert 'minus 0.5, 0.25, 0.3333, over 0.2, 0.2, 0.1' in use
  data = section(text, 'Training data')
  assert 'not the official archive' in data and 'abcdef01...' in data
  assert 'padded by 4 pixels, cropped at random, and mirrored at random' in data
  assert '10% of the training images were held out' in data
  training = section(text, 'Training')
  assert 'total_epochs 240, batch_size 64' in training and 'learning_rate 0.05' in training
  assert 'Seed 7, trial 1' in training and 'hold-out (epoch 231)' in training
  evaluation = section(text, 'Evaluation')
  assert [line.split(' | ')[1] for line in _rows(evaluation)] == ['57.49%', '1.3971', '0.1765']
  assert '58.00% top-1, after epoch 200' in evaluation
  assert '1,234,567' in section(text, 'Cost') and '21,900,000' in section(text, 'Cost')


def _rows(text):
  return [line.rstrip(' |') for line in text.splitlines() if line.startswith('| ')][1:]


@pytest.mark.parametrize(
  ('lacking', 'title'),
  [
    ('training', 'Training'),
    ('results', 'Evaluation'),
    ('cost', 'Cost'),
  ],
)
def test_what_the_card_does_not_say_is_left_out(lacking, title):
  text = model_card.text({name: value for name, value in CARD.items() if name != lacking})
  assert f'## {title}\n' not in text and '## Caveats\n' in text
  assert f'## {title}\n' in model_card.text(CARD)


def test_a_method_without_hyperparameters_is_named_alone():
  member = CARD['training']['member'] | {'method': 'scratch', 'hyperparameters': {}}
  text = model_card.text(CARD | {'training': CARD['training'] | {'member': member}})
  assert '- Method: scratch\n' in section(text, 'Model details')


def test_a_card_of_the_least_that_a_bundle_needs():
  facts = {'name': None, 'class_names': None, 'image_shape': (8, 8, 1), 'mean': (0,), 'std': (1,)}
  text = model_card.text({'model': {'family': 'VGG', 'num_classes': 10}, 'dataset': facts})
  assert text.startswith('# VGG\n') and '8x8 pixels with 1 channel.' in text
  assert 'Classes: 10, without names' in text and 'None' not in text


def test_weights_from_a_library_are_named_by_their_address():
  address = 'https://download.pytorch.org/models/resnet18-f37072fd.pth'
  text = model_card.text(CARD | {'imported': {'weights': address}})
  assert f'- Imported from {address}\n' in section(text, 'Model details')
  text = model_card.text(CARD | {'imported': {'file': 'a.pth', 'sha256': 'ab12'}})
  assert '- Imported from `a.pth`, SHA-256 ab12\n' in section(text, 'Model details')


def test_every_file_of_the_bundle_is_named():
  exported = {'family': 'Exported', 'num_classes': 25, 'function': 'abc'}
  for model, named in (MODEL, False), (exported, True):
    details = section(model_card.text(CARD | {'model': model}), 'Model details')
    assert (f'`{bundle.ENCODER}`' in details) is named
    assert all(f'`{name}`' in details for name in (bundle.VARIABLES, bundle.CARD, 'manifest.json'))
