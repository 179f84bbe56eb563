"""Fit a linear classifier to bundles' features of another dataset.

    pidkd probe --data digits --bundle runs/a/bundles/pidkd-0 \\
        --bundle runs/a/bundles/kd_1_1-0

The networks stay as they are. The output is a table of top-1 on test images.
"""

from absl import flags

from pidkd_jax import data
from pidkd_jax.cli import bundle_flags, data_flags
from pidkd_jax.core.errors import UserError, printable
from pidkd_jax.evaluation.probe import probe

FLAGS = flags.FLAGS


def define_flags():
  bundle_flags.define_several()
  data_flags.define('Dataset to probe on.')


def main():
  if FLAGS.bundle and not FLAGS.data:
    raise UserError(f'no dataset was given; name one with --data: {", ".join(data.names())}')
  bundles = bundle_flags.load_all()
  dataset = data_flags.load()
  print(
    f'A linear classifier on frozen features: {len(dataset.train):,} training and '
    f'{len(dataset.test):,} test images of {dataset.spec.name}.\n'
  )
  print('| bundle | network | trained on | top-1 (%) |')
  print('|--|--|--|--|')
  for one in bundles:
    known = one.card['dataset']
    top1 = probe(
      one.network,
      dataset.train,
      dataset.test,
      tuple(known['image_shape']),
      one.normalisation,
    )
    network = one.card.get('network', one.card['model']['family'])
    row = f'| {one.folder} | {network} | {known["name"] or "unknown"} | {100 * top1:.2f} |'
    print(printable(row))
