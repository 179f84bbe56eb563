"""Probes bundles on another dataset: a linear classifier on their frozen features.

python scripts/probe.py --data digits --bundle runs/a/bundles/pidkd-0 --bundle runs/a/bundles/kd-0
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

from absl import flags

from pidkd_jax import data, models
from pidkd_jax.bundles import bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.evaluation.probe import probe
from pidkd_jax.experiment import workdir
from pidkd_jax.training import memory

_BUNDLE = flags.DEFINE_multi_string('bundle', [], 'Folder of a bundle; repeatable.')
_DATA = flags.DEFINE_string('data', '', 'Dataset to probe on.')
_DATA_DIR = flags.DEFINE_string('data_dir', '', "TFDS's folder; by default TFDS's own.")
_ARCHIVE = flags.DEFINE_string('archive', '', "The dataset's archive; by default it is downloaded.")
_VERIFY = flags.DEFINE_bool('verify', True, 'Whether the archive must be the official one.')
_IMAGE_SIZE = flags.DEFINE_integer(
  'image_size', 0, "Side that a folder's images are brought to; 0: they have one size already."
)
_OWN = flags.DEFINE_multi_string(
  'own', [], 'A network of your own in a bundle, as package.module:Class; repeatable.'
)


def main():
  if not _BUNDLE.value:
    raise UserError('no bundle was given; name one or several with --bundle')
  if not _DATA.value:
    raise UserError(f'no dataset was given; name one with --data: {", ".join(data.names())}')
  own = models.families(*_OWN.value)
  probed = [bundle.load(workdir.local('--bundle', folder), own) for folder in _BUNDLE.value]
  dataset = data.load(
    _DATA.value,
    directory=_DATA_DIR.value,
    archive=_ARCHIVE.value,
    verify=_VERIFY.value,
    image_size=_IMAGE_SIZE.value,
    limit=memory.image_limit(),
  )
  print(
    f'A linear classifier on frozen features: {len(dataset.train):,} training and '
    f'{len(dataset.test):,} test images of {dataset.spec.name}.\n'
  )
  print('| bundle | network | trained on | top-1 (%) |')
  print('|--|--|--|--|')
  for one in probed:
    known = one.card['dataset']
    top1 = probe(
      one.network,
      dataset.train,
      dataset.test,
      tuple(known['image_shape']),
      one.normalisation,
    )
    network = one.card.get('network', one.card['model']['family'])
    print(f'| {one.folder} | {network} | {known["name"] or "unknown"} | {100 * top1:.2f} |')


if __name__ == '__main__':
  app.run(main)
