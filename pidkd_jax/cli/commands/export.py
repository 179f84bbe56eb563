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
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError, respelled
from pidkd_jax.evaluation import inference

FLAGS = flags.FLAGS

# {parameter of `export.export`: the flag that stands for it}.
_SPELLING = {'folder': '--out'} | {n: f'--{n}' for n in ('uint8', 'layout', 'largest_loss')}


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


@respelled(_SPELLING)
def main():
  if not FLAGS.format:
    raise UserError(f'no format was given; name some with --format: {", ".join(export.names())}')
  out = local_path.resolve('--out', FLAGS.out)
  for name in FLAGS.format:
    export.check(name, out / name, FLAGS.uint8, FLAGS.layout)
  loaded = bundle_flags.load(FLAGS.bundle)
  for name in FLAGS.format:
    export.check_network(name, loaded)
  dataset = data_flags.load_for(loaded)
  deployable = export.Deployable.create(loaded, dataset.train, FLAGS.uint8, FLAGS.layout)
  expected = inference.logits(
    loaded.network, inference.eval_batches(dataset.test, loaded.normalisation)
  )
  shape = ', '.join(['N', *map(str, deployable.input_shape)])
  print(f'{FLAGS.bundle}, input [{shape}] {deployable.dtype.name}')
  print(f'verified on the {len(dataset.test):,} test images of {dataset.spec.name}:\n')
  print(_row('format', 'bytes', 'difference', 'other class', 'top-1 (%)', 'lost'))
  for name in FLAGS.format:
    facts = export.export(deployable, name, out / name, dataset.test, expected, FLAGS.largest_loss)
    print(_result(name, facts), flush=True)
  print('\nlargest difference of a logit; images of another class; lost points of top-1')
  print(f'{out / "FORMAT"}: the file, its card, and example.py that runs it')


def _result(name, facts):
  """Return the line of a file that was written and verified."""
  agreement = facts['verification']
  return _row(
    name,
    f'{facts["bytes"]:,}',
    f'{agreement["largest_difference"]:.2g}',
    str(agreement['other_predictions']),
    f'{100 * agreement["top1"]:.2f}',
    f'{100 * (agreement["bundle_top1"] - agreement["top1"]):.2f}',
  )


def _row(name, *cells):
  return f'{name:<10}' + ''.join(f'{cell:>13}' for cell in cells)
