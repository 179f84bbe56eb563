"""The form in which a frozen teacher observes batches."""

import jax
import numpy as np

from pidkd_jax.models.network import Network
from pidkd_jax.parallel import devices
from pidkd_jax.training import program_inputs
from pidkd_jax.training.step import features_and_logits


def observer(teacher: Network, image: jax.Array | jax.ShapeDtypeStruct) -> Network | None:
  """Return the teacher with the variables converted that each pass would convert to the same type.

  Layers compute in the type of their input. In bfloat16 each pass would convert the kernels and
  biases of the convolutions anew. The outputs on a batch are the same, bit for bit. The classifier
  and the norms, which compute in float32, keep their type.

  Args:
    teacher: arrays or shapes.
    image: a batch of images [B, H, W, C], whose type decides; an array or its shape.

  Returns:
    None where the teacher itself is that form.
  """
  leaves, tree = jax.tree.flatten(teacher)
  if all(leaf.dtype == image.dtype for leaf in leaves):
    return None
  program = features_and_logits.trace(teacher, image).jaxpr
  *converted, _ = program_inputs.only_converted(program, image.dtype)
  if not any(converted):
    return None
  return jax.tree.unflatten(
    tree,
    [
      _convert(leaf, image.dtype) if one else leaf
      for leaf, one in zip(leaves, converted, strict=True)
    ],
  )


def _convert(leaf: jax.Array | jax.ShapeDtypeStruct, dtype: np.dtype):
  if isinstance(leaf, jax.ShapeDtypeStruct):
    return jax.ShapeDtypeStruct(leaf.shape, dtype)
  # The host converts, as compiling the conversion of each shape takes longer.
  return devices.put_replicated(np.asarray(leaf).astype(dtype))
