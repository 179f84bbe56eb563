"""What XLA's compiler for a TPU makes of parts of a step. No TPU is needed.

    pip install 'jax[tpu]'
    python -m benchmarks.tpu

It prints XLA's own estimate of cycles and the temporary memory of each compiled part. Estimates
rank formulations of one part. They are no measurements, and some operations have none.
"""

import argparse
import dataclasses
import functools
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from pidkd_jax.nn import convolution
from pidkd_jax.nn.batch_norm import normalize_batch
from pidkd_jax.nn.precision import FLOAT32

_BATCH = 64
_AXES = ('NHWC', 'HWIO', 'NHWC')
# libtpu would ask the cloud which machine this is.
_SETTINGS = {
  'TPU_SKIP_MDS_QUERY': '1',
  'TPU_WORKER_HOSTNAMES': 'localhost',
  'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
}


@dataclasses.dataclass(frozen=True)
class Part:
  """A part of a step.

  Attributes:
    name: of the part and its formulation.
    function: what is compiled.
    shapes: (shape, type) of its arguments.
  """

  name: str
  function: Callable
  shapes: tuple[tuple[tuple[int, ...], Any], ...]


def with_gradient(function: Callable) -> Callable:
  """Return the function that gives a map's gradients with respect to all arguments."""

  def loss(*arguments):
    return jnp.sum(jnp.square(function(*arguments).astype(jnp.float32)))

  def gradients(*arguments):
    return jax.grad(loss, argnums=tuple(range(len(arguments))))(*arguments)

  return gradients


def depthwise() -> Iterator[Part]:
  """Yield depthwise convolutions with their gradients."""
  forms = {'sum of shifts': convolution.depthwise_by_shift, "XLA's": lax.conv_general_dilated}
  for size, channels, side in ((3, 192, 28), (7, 384, 14)):
    edge = (size // 2,) * 2
    for dtype in (jnp.bfloat16, jnp.float32):
      for form, convolve in forms.items():

        def layer(x, kernel, convolve=convolve, edge=edge, channels=channels):
          axes = {'dimension_numbers': _AXES, 'feature_group_count': channels}
          return convolve(x, kernel, (1, 1), (edge, edge), **axes)

        yield Part(
          f'depthwise {size}x{size}, {channels} at {side}x{side}, {dtype.__name__}: {form}',
          with_gradient(layer),
          (((_BATCH, side, side, channels), dtype), ((size, size, 1, channels), dtype)),
        )


def stacks() -> Iterator[Part]:
  """Yield the convolutions of three projectors with their gradients."""
  forms = {'product of patches': convolution.by_dot, 'grouped': lax.conv_general_dilated}
  for size, channels, features in ((3, 128, 128), (1, 256, 128)):
    edge = (size // 2,) * 2
    for form, convolve in forms.items():

      def layer(x, kernels, convolve=convolve, edge=edge):
        def one(x, kernel):
          return convolve(x, kernel, (1, 1), (edge, edge), dimension_numbers=_AXES)

        return jax.vmap(one)(x, kernels)

      yield Part(
        f'three {size}x{size}, {channels} to {features} at 8x8, bfloat16: {form}',
        with_gradient(layer),
        (
          ((3, _BATCH, 8, 8, channels), jnp.bfloat16),
          ((3, size, size, channels, features), jnp.bfloat16),
        ),
      )


def norms() -> Iterator[Part]:
  """Yield BatchNorm with its gradients."""
  for channels, side in ((64, 32), (256, 8)):
    for form, shares in (('one stage', None), ('two stages', 1)):

      def layer(x, scale, bias, shares=shares):
        return normalize_batch(x, scale, bias, 1e-5, shares)[0]

      yield Part(
        f'BatchNorm, {channels} at {side}x{side}, bfloat16: {form}',
        with_gradient(layer),
        (
          ((_BATCH, side, side, channels), jnp.bfloat16),
          ((channels,), jnp.float32),
          ((channels,), jnp.float32),
        ),
      )


def gathers() -> Iterator[Part]:
  """Yield the choice of a batch among CIFAR-100's training images."""
  image = (32, 32, 3)
  for form, stored in (('[N, H, W, C]', image), ('rows', (32 * 32 * 3,))):

    def take(images, index):
      return images[index].reshape(_BATCH, *image).astype(jnp.float32)

    yield Part(
      f'a batch of 50,000 images: {form}',
      take,
      (((50_000, *stored), jnp.uint8), ((_BATCH,), jnp.int32)),
    )


def compiled(part: Part, device: Any) -> tuple[int, float]:
  """Return the estimated cycles and the temporary MiB of a part on a device that is not there."""
  place = functools.partial(jax.ShapeDtypeStruct, sharding=SingleDeviceSharding(device))
  with FLOAT32.scope():
    program = jax.jit(part.function).lower(*(place(*shape) for shape in part.shapes)).compile()
  cycles = sum(map(int, re.findall(r'"estimated_cycles":"(\d+)"', program.as_text())))
  return cycles, program.memory_analysis().temp_size_in_bytes / 2**20


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--topology', default='v5e:2x2', help='of the TPU (default: v5e:2x2)')
  topology = parser.parse_args().topology
  for name, value in _SETTINGS.items():
    os.environ.setdefault(name, value)
  try:
    device = topologies.get_topology_desc(topology_name=topology, platform='tpu').devices[0]
  except Exception as error:
    parser.exit(1, f"{topology} cannot be described ({error}); install 'jax[tpu]'\n")
  print('| part | estimated cycles (millions) | temporary memory (MiB) |\n|--|--:|--:|')
  for part in (*depthwise(), *stacks(), *norms(), *gathers()):
    cycles, memory = compiled(part, device)
    print(f'| {part.name} | {cycles / 1e6:.2f} | {memory:.1f} |', flush=True)


if __name__ == '__main__':
  main()
