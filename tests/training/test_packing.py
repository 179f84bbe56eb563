"""Packing of trees by type, and their digest."""

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.training import packing


def tree():
  return {
    'kernel': np.arange(6, dtype=np.float32).reshape(2, 3),
    'count': np.int32(7),
    'half': np.ones(2, jnp.bfloat16),
    'nothing': None,
    'bias': np.array([-0.0, np.nan], np.float32),
  }


def test_a_packed_tree_has_an_array_for_each_type():
  packed = packing.pack(tree())
  assert {dtype: values.shape for dtype, values in packed.items()} == {
    'float32': (8,),
    'int32': (1,),
    'bfloat16': (2,),
  }
  shapes = packing.packed_shapes(jax.eval_shape(tree))
  assert jax.tree.map(lambda x: (x.shape, x.dtype), shapes) == jax.tree.map(
    lambda x: (x.shape, x.dtype), packed
  )


def test_unpacking_restores_the_tree():
  unpacked = packing.unpack(packing.pack(tree()), jax.eval_shape(tree))
  assert jax.tree.structure(unpacked) == jax.tree.structure(tree())
  assert packing.digest(unpacked) == packing.digest(tree())


def test_the_digest_covers_values_types_shapes_and_names():
  x = np.arange(4, dtype=np.int32)
  trees = [
    {'a': x},
    {'b': x},
    {'a': x.reshape(2, 2)},
    {'a': x.astype(np.uint32)},
    {'a': x[::-1]},
    {'a': x, 'b': x},
    {'a': {'b': x}},
  ]
  assert len({packing.digest(tree) for tree in trees}) == len(trees)
  assert packing.digest({'a': x}) == packing.digest({'a': jnp.asarray(x)})


def test_the_digest_may_use_other_names():
  assert packing.digest({'new': 1}, {'new': 'old'}) == packing.digest({'old': 1})
