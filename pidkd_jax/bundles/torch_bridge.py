"""PyTorch networks as functions of JAX, by torchax.

torchax runs a network's own Python code on arrays of JAX, so nothing here knows a network.
"""

import contextlib
import unittest.mock
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export
from jax.extend import core

from pidkd_jax.bundles.torch_maps import Place
from pidkd_jax.core import extras
from pidkd_jax.evaluation.cost import multiply_adds
from pidkd_jax.models.exported_function import COLLECTIONS, PLATFORMS
from pidkd_jax.nn.precision import FLOAT32

# {collection: {name: array}}.
Weights = Mapping[str, Mapping[str, np.ndarray]]


def export(
  network: Any, places: Sequence[Place], image_shape: tuple[int, int, int]
) -> tuple[bytes, Weights, int]:
  """Export the way from images to some maps of a PyTorch network.

  It is traced with one image and then vectorised, so that no code of the module meets a batch of
  unknown size. Weights that it does not read are left out.

  Args:
    network: a module in evaluation mode.
    places: of the maps.
    image_shape: (H, W, C).

  Returns:
    The serialised function (weights, float32 [B, H, W, C]) -> float32 [B, H_i, W_i, C_i]; the
    weights; and the multiply-adds of one image.
  """
  with _importable():
    import torchax
  module = _to_maps(network, places)
  states, function = torchax.extract_jax(module)
  image = jax.ShapeDtypeStruct(image_shape, jnp.float32)
  shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), states)

  def maps(states: Mapping[str, jax.Array], image: jax.Array) -> tuple[jax.Array, ...]:
    found = function(states, (image.transpose(2, 0, 1)[None],))
    return tuple(each[0].transpose(1, 2, 0).astype(jnp.float32) for each in found)

  with FLOAT32.scope(), _without_places():
    program = jax.make_jaxpr(maps)(shapes, image)
    read = {id(variable) for equation in program.eqns for variable in equation.invars}
    names = [
      name
      for name, variable in zip(sorted(shapes), program.jaxpr.invars, strict=False)
      if id(variable) in read
    ]
    trained = {name for name, _ in module.named_parameters()}
    belongs = {name: COLLECTIONS[name not in trained] for name in names}

    def one(weights: Weights, image: jax.Array) -> tuple[jax.Array, ...]:
      # Those that are not read have no values.
      values = [
        weights[belongs[name]][_short(name)] if name in belongs else states[name]
        for name in sorted(states)
      ]
      return tuple(core.jaxpr_as_fun(program)(*values, image))

    weights = {
      collection: {
        _short(name): np.asarray(states[name]) for name in names if belongs[name] == collection
      }
      for collection in COLLECTIONS
    }
    batch = jax.ShapeDtypeStruct((*jax_export.symbolic_shape('b'), *image_shape), jnp.float32)
    call = jax.jit(jax.vmap(one, (None, 0)))
    exported = jax_export.export(call, platforms=PLATFORMS)(_shapes(weights), batch)
    return bytes(exported.serialize()), weights, multiply_adds(one, _shapes(weights), image)


@contextlib.contextmanager
def _importable() -> Iterator[None]:
  """Let torchax 0.0.13 be imported beside PyTorch 2.13.

  Its tables of operators name overloads for named dimensions, which PyTorch 2.13 no longer has.
  Within this context an overload that is missing is an object that nothing calls.
  """
  import torch

  packet = torch._ops.OpOverloadPacket
  real: Callable[[Any, str], Any] = packet.__getattr__

  def lenient(self: Any, name: str) -> Any:
    try:
      return real(self, name)
    except AttributeError:
      if 'name' not in name.lower():
        raise
      return object()

  with (
    extras.needed('a network of timm or torchvision'),
    unittest.mock.patch.object(packet, '__getattr__', lenient),
  ):
    import torchax

    torchax.default_env()
    yield


@contextlib.contextmanager
def _without_places() -> Iterator[None]:
  """Leave the paths of source files on this machine out of what is exported."""
  settings = {
    # Otherwise one place is kept of each operation, whatever the limit.
    'jax_include_full_tracebacks_in_locations': True,
    'jax_traceback_in_locations_limit': 0,
  }
  before = {name: getattr(jax.config, name) for name in settings}
  for name, value in settings.items():
    jax.config.update(name, value)
  try:
    yield
  finally:
    for name, value in before.items():
      jax.config.update(name, value)


def _to_maps(network: Any, places: Sequence[Place]) -> Any:
  """Return a module that runs a network as far as the last of these places, and returns the maps.

  The network is its submodule `network`.
  """
  import torch

  class Reached(Exception):  # noqa: N818
    """The last map is there; what follows is not traced."""

  class ToMaps(torch.nn.Module):
    def __init__(self):
      super().__init__()
      self.network = network

    def forward(self, images):
      modules = dict(self.network.named_modules())
      maps: dict[Place, Any] = {}
      with contextlib.ExitStack() as hooks, contextlib.suppress(Reached):
        for place in dict.fromkeys(places):
          handle = _hook(modules[place.module], place, maps, len({*places}), Reached)
          hooks.callback(handle.remove)
        self.network(images)
      return tuple(maps[place] for place in places)

  return ToMaps().eval()


def _hook(
  module: Any, place: Place, maps: dict[Place, Any], count: int, reached: type[Exception]
) -> Any:
  """Keep a map where it arises; raise `reached` once all of them are there."""
  calls = 0

  def keep(value: Any) -> None:
    nonlocal calls
    calls += 1
    if calls == place.call:
      # A layer after this one may compute in place.
      maps[place] = place.as_map(value.clone())
      if len(maps) == count:
        raise reached

  if place.before:
    return module.register_forward_pre_hook(lambda _, args: keep(args[0]))
  return module.register_forward_hook(lambda _, args, output: keep(output))


def _short(name: str) -> str:
  """Return the name of a weight in the network itself."""
  return name.removeprefix('network.')


def _shapes(weights: Weights) -> Any:
  return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), weights)
