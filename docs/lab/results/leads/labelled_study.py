"""KD's two terms beside PIDKD's loss, at the length of the proof."""

from pidkd_jax.experiment import config, pairs

LABELLED, WIDE = 'labelled:Labelled', 'labelled:WideLabelled'
STACK = {'num_projectors': 3, 'factor': 2}
# KD's terms at the weights of the proof's arm `kd`.
TERMS = {'label_weight': 1.0, 'divergence_weight': 3.0}


def get_config(arg=''):
  c = config.study(arg or 'resnet14x2-resnet8', pairs.CIFAR100)
  c.data.name = 'cifar100'
  c.total_epochs, c.teacher.total_epochs = 30, 20
  c.eval_every = 30
  c.trials = 2
  rows = {
    'kd': config.row('kd_1_1', weight=3.0),
    'pidkd': config.row('pidkd', **STACK),
    'labels_1': config.row(LABELLED, **STACK, label_weight=1.0),
    'labels_3': config.row(LABELLED, **STACK, label_weight=3.0),
    'labels_10': config.row(LABELLED, **STACK, label_weight=10.0),
    'terms': config.row(LABELLED, **STACK, **TERMS),
    # The terms alone: KD of a network as large as PIDKD's, with the teacher's classifier.
    'terms_alone': config.row(LABELLED, **STACK, **TERMS, weight=0.0),
    'wide_terms': config.row(WIDE, **STACK, **TERMS),
    'simkd_terms': config.row(LABELLED, num_projectors=1, **TERMS),
  }
  # Added when the nine above were known, as the largest weight of the labels was the best.
  for weight in (30, 100):
    rows[f'labels_{weight}'] = config.row(LABELLED, **STACK, label_weight=float(weight))
  for weight in (10, 30, 100):
    rows[f'wide_labels_{weight}'] = config.row(WIDE, **STACK, label_weight=float(weight))
  rows['simkd_labels_10'] = config.row(LABELLED, num_projectors=1, label_weight=10.0)
  # Added when the first block was judged, as KD's weight had been chosen by short trainings.
  for weight in (1, 10, 30):
    rows[f'kd_{weight}'] = config.row('kd_1_1', weight=float(weight))
  rows['kd_03'] = config.row('kd_1_1', weight=0.3)  # As 1, the smallest, was the best.
  # Added when the other blocks were known, as the projector's best weight may lie below 10.
  for weight in (1, 3, 5):
    rows[f'wide_labels_{weight}'] = config.row(WIDE, **STACK, label_weight=float(weight))
  c.cohorts = {'all': {'rows': rows}}
  return c
