"""The parts that are compiled for a TPU, without its compiler."""

import jax
import pytest

from benchmarks import tpu

PARTS = [*tpu.depthwise(), *tpu.stacks(), *tpu.norms(), *tpu.gathers()]


@pytest.mark.parametrize('part', PARTS, ids=lambda part: part.name)
def test_parts_fit_their_arguments(part):
  arguments = [jax.ShapeDtypeStruct(*shape) for shape in part.shapes]
  result = jax.eval_shape(part.function, *arguments)
  if isinstance(result, tuple):  # Gradients.
    assert [leaf.shape for leaf in result] == [argument.shape for argument in arguments]
  else:
    assert result.shape == (64, 32, 32, 3)


def test_parts_have_names_of_their_own():
  names = [part.name for part in PARTS]
  assert len({*names}) == len(names) == 18
