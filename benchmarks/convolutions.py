"""Time 3x3 convolutions of XLA and of `pidkd_jax.nn.convolution.fastest`, float32.

python -m benchmarks.convolutions

Each is timed forward, and forward with both gradients, in turn. The table has medians over --rounds
in milliseconds, and the share of XLA's time that ours takes.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import functools
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax import lax

from pidkd_jax.nn import convolution
from pidkd_jax.experiment import workdir

_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Images in a batch.', lower_bound=1)
_ROUNDS = flags.DEFINE_integer(
  'rounds', 15, 'Timed rounds, after one that is not timed.', lower_bound=1
)

# Side and channels of the stages of resnet14x2 and resnet32x4, and of their students.
SIZES = ((32, 16), (32, 32), (32, 64), (16, 64), (16, 128), (8, 64), (8, 128), (8, 256))


def main():
  settings = {'padding': ((1, 1), (1, 1)), 'dimension_numbers': ('NHWC', 'HWIO', 'NHWC')}
  plain = functools.partial(lax.conv_general_dilated, window_strides=(1, 1), **settings)
  ours = functools.partial(convolution.fastest, strides=(1, 1), **settings)
  print(', '.join(f'{key} {value}' for key, value in workdir.environment().items()))
  print(f'batch {_BATCH_SIZE.value}\n')
  print('| map | forward (ms) | ours | share | with gradients (ms) | ours | share |')
  print('|--|--|--|--|--|--|--|')
  for side, channels in SIZES:
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(_BATCH_SIZE.value, side, side, channels)), jnp.float32)
    kernel = jnp.asarray(random.normal(size=(3, 3, channels, channels)), jnp.float32)
    cells = []
    for kind in (lambda function: function, _with_gradients):
      before, after = _in_turn([jax.jit(kind(plain)), jax.jit(kind(ours))], x, kernel)
      cells += [f'{before:.1f}', f'{after:.1f}', f'{after / before:.2f}']
    print(f'| {side}x{side}x{channels} | {" | ".join(cells)} |')


def _with_gradients(function):
  def run(x, kernel):
    y, pull = jax.vjp(function, x, kernel)
    return y, pull(y)

  return run


def _in_turn(functions, *args):
  """Time functions in turn; return each one's median milliseconds."""
  seconds = [[] for _ in functions]
  for timed in [False] + [True] * _ROUNDS.value:
    for function, own in zip(functions, seconds, strict=True):
      started = time.perf_counter()
      jax.block_until_ready(function(*args))
      if timed:
        own.append(time.perf_counter() - started)
  return [1000 * statistics.median(own) for own in seconds]


if __name__ == '__main__':
  app.run(main)
