"""Write a bundle in formats that other runtimes read.

    pidkd export --bundle runs/digits/bundles/pidkd-0 --out exported \\
        --format onnx,stablehlo

OUT/FORMAT gets the file, its card, a small example that runs it, and SHA-256
sums. Each file is checked on the bundle's test images. The card names the data;
--data and the flags below it name others.
"""

from absl import flags

from pidkd_jax import export
from pidkd_jax.cli import bundle_flags, data_flags
from pidkd_jax.core.errors import UserError
from pidkd_jax.evaluation import inference
from pidkd_jax.experiment import workdir

FLAGS = flags.FLAGS


def define_flags():
  bundle_flags.define()
  flags.DEFINE_string('out', '', 'Folder that gets a folder for each format.')
  flags.DEFINE_list('format', [], f'By commas, of {", ".join(export.names())}.')
  flags.DEFINE_bool('uint8', False, 'Take uint8 pixels, not normalised float32 images.')
  flags.DEFINE_enum('layout', 'nhwc', export.LAYOUTS, "Of the file's images; PyTorch's is nchw.")
  flags.DEFINE_float(
    'largest_loss', 1.0, 'Points of top-1 that an 8-bit file may lose.', lower_bound=0
  )
  data_flags.define('Dataset; by default as in the card.')


def main():
  if not FLAGS.format:
    raise UserError(f'no format was given; name some with --format: {", ".join(export.names())}')
  out = workdir.local('--out', FLAGS.out)
  for name in FLAGS.format:
    export.check(name, out / name, FLAGS.uint8, FLAGS.layout)
  loaded = bundle_flags.load(FLAGS.bundle)
  dataset = data_flags.load_for(loaded)
  deployable = export.Deployable.create(loaded, dataset.train, FLAGS.uint8, FLAGS.layout)
  expected = inference.logits(
    loaded.network, inference.eval_batches(dataset.test, loaded.normalisation)
  )
  print(
    f'{FLAGS.bundle} on the {len(dataset.test)} test images of {dataset.spec.name}, '
    f'input {list(deployable.describe_input()["shape"])}'.replace('None', 'N')
    + f' {deployable.dtype.name}\n'
  )
  print(
    '| format | file | bytes | largest difference | other predictions | top-1 (%) | lost (points) |'
  )
  print('|--|--|--|--|--|--|--|')
  for name in FLAGS.format:
    facts = export.export(deployable, name, out / name, dataset.test, expected, FLAGS.largest_loss)
    agreement = facts['verification']
    print(
      f'| {name} | {out / name / facts["file"]} | {facts["bytes"]:,} '
      f'| {agreement["largest_difference"]:.2g} | {agreement["other_predictions"]} '
      f'| {100 * agreement["top1"]:.2f} '
      f'| {100 * (agreement["bundle_top1"] - agreement["top1"]):.2f} |'
    )
