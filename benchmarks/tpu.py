"""What XLA's compiler for a TPU makes of parts of a step. No TPU is needed.

    pip install 'jax[tpu]'
    python -m benchmarks.tpu
    python -m benchmarks.tpu --step

It prints XLA's own estimate of cycles and the temporary memory of each compiled part, or of a loop
over training steps of the main job on one chip and on four. Estimates rank formulations of one
part. They are no measurements, and some operations have none, such as those between chips.
"""

import argparse
import dataclasses
import functools
import os
import re
import unittest.mock
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from pidkd_jax import models
from pidkd_jax.data import noise
from pidkd_jax.models.network import Network
from pidkd_jax.nn import convolution, precision
from pidkd_jax.nn.batch_norm import normalize_batch
from pidkd_jax.nn.precision import FLOAT32
from pidkd_jax.parallel import devices
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams

_BATCH = 64
_KINDS = ('all-reduce', '(?:all-gather|all-to-all|collective-permute)')
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


def compiled(part: Part, device: Any) -> Any:
  """Compile a part for a device that is not there."""
  place = functools.partial(jax.ShapeDtypeStruct, sharding=SingleDeviceSharding(device))
  with FLOAT32.scope():
    return jax.jit(part.function).lower(*(place(*shape) for shape in part.shapes)).compile()


def compiled_steps(chips: Sequence[Any], steps: int = 40) -> Any:
  """Compile a call of several steps: PIDKD, ResNet-32x4 to ResNet-8x4, in bfloat16."""
  kind = precision.find('bfloat16')
  data = noise.dataset(steps * _BATCH, 32, 100)
  shapes = Network.shapes(models.create('resnet32x4', num_classes=100), (32, 32, 3))
  with kind.scope():
    batches = data.train.batches(
      data.spec.normalisation,
      jax.random.key(0),
      batch_size=_BATCH,
      padding=4,
      flip=True,
      dtype=kind.dtype,
    )
    cohort = cohorts.assemble(
      [Member('pidkd', 'resnet8x4', 'pidkd', {}, OptimizerHparams(), 0)],
      teacher=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes),
      dataset=data.spec,
      image=jax.ShapeDtypeStruct((_BATCH, 32, 32, 3), kind.dtype),
      optimizer=Optimizer(1000, (600, 900), 0.1, 0.9),
      key=jax.random.key(1),
    )
    step = jax.ShapeDtypeStruct((), jnp.int32)
    order = jax.eval_shape(batches.order, step)
    states = jax.eval_shape(Cohort.init, cohort, jax.eval_shape(batches.batch, order, step))
    operands = (cohort, states, batches, order, step)
    # Layers choose their formulation by the platform.
    with unittest.mock.patch.object(jax, 'default_backend', lambda: 'tpu'):
      if len(chips) == 1:
        placed = _placed(operands, SingleDeviceSharding(chips[0]))
        return cohorts.scan.lower(*placed, steps).compile()
      with devices.DeviceGroup(tuple(chips), is_default=True).activate():
        return cohorts.scan.lower(*devices.replicated_shapes(operands), steps).compile()


def _placed(tree: Any, sharding: Any) -> Any:
  return jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
  )


def costs(program: Any) -> tuple[float, float]:
  """Return the estimated millions of cycles, of a loop's body once, and the temporary MiB."""
  cycles = sum(map(int, re.findall(r'"estimated_cycles":"(\d+)"', program.as_text())))
  return cycles / 1e6, program.memory_analysis().temp_size_in_bytes / 2**20


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--topology', default='v5e:2x2', help='of the TPU (default: v5e:2x2)')
  parser.add_argument('--step', action='store_true', help='compile training steps')
  given = parser.parse_args()
  for name, value in _SETTINGS.items():
    os.environ.setdefault(name, value)
  try:
    chips = topologies.get_topology_desc(topology_name=given.topology, platform='tpu').devices
  except Exception as error:
    parser.exit(1, f"{given.topology} cannot be described ({error}); install 'jax[tpu]'\n")
  if given.step:
    print('| chips | cycles a step (millions) | temporary memory (MiB) | all-reduces | gathers |')
    print('|--:|--:|--:|--:|--:|')
    for used in (chips[:1], chips):
      program = compiled_steps(used)
      counts = [len(re.findall(rf' {kind}(?:-start)?\(', program.as_text())) for kind in _KINDS]
      cycles, memory = costs(program)
      print(
        f'| {len(used)} | {cycles:.2f} | {memory:.1f} | {counts[0]} | {counts[1]} |', flush=True
      )
    return
  print('| part | estimated cycles (millions) | temporary memory (MiB) |\n|--|--:|--:|')
  for part in (*depthwise(), *stacks(), *norms(), *gathers()):
    cycles, memory = costs(compiled(part, chips[0]))
    print(f'| {part.name} | {cycles:.2f} | {memory:.1f} |', flush=True)


if __name__ == '__main__':
  main()
