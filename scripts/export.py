"""Writes a bundle as files that others run, each checked on the bundle's test images.

python scripts/export.py --bundle runs/digits/bundles/pidkd-0 --out exported --format onnx,stablehlo

OUT/FORMAT gets the file, its card, a small example that calls it, and the files' SHA-256.
--uint8 takes pixels and normalises within. --data_dir, --data, --archive, --verify and --image_size
are those of evaluate.py.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

from absl import flags

import numpy as np

from pidkd_jax import export, models
from pidkd_jax.bundles import bundle
from pidkd_jax.cli import card_data
from pidkd_jax.core.errors import UserError
from pidkd_jax.evaluation import inference
from pidkd_jax.experiment import workdir
from pidkd_jax.training import memory

_BUNDLE = flags.DEFINE_string('bundle', '', 'Folder of the bundle.')
_OUT = flags.DEFINE_string('out', '', 'Folder that gets a folder for each format.')
_FORMAT = flags.DEFINE_list('format', [], f'By commas, of {", ".join(export.names())}.')
_UINT8 = flags.DEFINE_bool(
  'uint8', False, 'Whether it takes uint8 pixels; else normalised float32 images.'
)
_LOSS = flags.DEFINE_float(
  'largest_loss', 1.0, 'Points of top-1 that an 8-bit file may cost.', lower_bound=0
)
_OWN = flags.DEFINE_multi_string(
  'own', [], 'A network of your own in the bundle, as package.module:Class; repeatable.'
)
card_data.define_flags()

# Training images by which the maps' ranges are told.
_CALIBRATION = 512


def main():
  if not _FORMAT.value:
    raise UserError(f'no format was given; name some with --format: {", ".join(export.names())}')
  out = workdir.local('--out', _OUT.value)
  for name in _FORMAT.value:
    export.check(name, out / name, _UINT8.value)
  loaded = bundle.load(workdir.local('--bundle', _BUNDLE.value), models.families(*_OWN.value))
  dataset = card_data.load(loaded, memory.image_limit())
  train = dataset.train
  chosen = np.sort(np.random.default_rng(0).permutation(len(train))[:_CALIBRATION])
  [calibration] = train.take(chosen).blocks(len(chosen))
  deployable = export.Deployable(loaded, _UINT8.value, np.asarray(calibration))
  expected = inference.logits(
    loaded.network, inference.eval_split(dataset.test, loaded.normalisation)
  )
  print(
    f'{_BUNDLE.value} on the {len(dataset.test)} test images of {dataset.spec.name}, '
    f'{"uint8" if _UINT8.value else "float32"} input\n'
  )
  print(
    '| format | file | bytes | largest difference | other predictions | top-1 (%) | lost (points) |'
  )
  print('|--|--|--|--|--|--|--|')
  for name in _FORMAT.value:
    facts = export.export(deployable, name, out / name, dataset.test, expected, _LOSS.value)
    agreement = facts['verification']
    print(
      f'| {name} | {out / name / facts["file"]} | {facts["bytes"]:,} '
      f'| {agreement["largest_difference"]:.2g} | {agreement["other_predictions"]} '
      f'| {100 * agreement["top1"]:.2f} '
      f'| {100 * (agreement["bundle_top1"] - agreement["top1"]):.2f} |'
    )


if __name__ == '__main__':
  app.run(main)
