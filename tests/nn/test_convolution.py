"""Each formulation equals `lax.conv_general_dilated`, and so do its gradients."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from pidkd_jax.nn import convolution
from tests.nn.maps import maps

AXES = {'dimension_numbers': ('NHWC', 'HWIO', 'NHWC')}

# Odd and even in both directions.
SIDES = [(5, 8), (8, 5)]


def general(x, kernel, strides, padding, feature_group_count=1):
  return lax.conv_general_dilated(
    x,
    kernel,
    strides,
    padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=feature_group_count,
  )


def assert_is_the_convolution(formulation, x, kernel, expected=general, **settings):
  """Compare the values, and both gradients for the same random cotangent."""

  @functools.partial(jax.jit, static_argnums=0)
  def run(function, x, kernel):
    y, pull = jax.vjp(functools.partial(function, **settings), x, kernel)
    return y, pull(maps(*y.shape, seed=2))

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
    run(formulation, x, kernel),
    run(expected, x, kernel),
  )


@pytest.mark.parametrize('sides', SIDES)
@pytest.mark.parametrize(
  'size, padding',
  [
    ((1, 1), ((0, 0), (0, 0))),
    ((3, 3), ((1, 1), (1, 1))),
    ((3, 2), ((2, 0), (0, 1))),
    ((3, 3), ((0, 0), (0, 0))),
  ],
)
def test_by_dot(sides, size, padding):
  x, kernel = maps(2, *sides, 3), maps(*size, 3, 4, seed=1)
  assert_is_the_convolution(convolution.by_dot, x, kernel, strides=(1, 1), padding=padding)


@pytest.mark.parametrize('sides', SIDES)
@pytest.mark.parametrize('strides', [(2, 2), (1, 2), (3, 1)])
@pytest.mark.parametrize('size', [1, 3])
def test_by_dot_with_strides(sides, strides, size):
  x, kernel = maps(2, *sides, 3), maps(size, size, 3, 4, seed=1)
  padding = ((size // 2,) * 2,) * 2
  assert_is_the_convolution(convolution.by_dot, x, kernel, strides=strides, padding=padding)


def test_by_dot_in_float64():
  x, kernel = maps(2, 5, 6, 3), maps(3, 3, 3, 4, seed=1)
  settings = {'strides': (2, 2), 'padding': ((1, 1), (1, 1))}
  with jax.enable_x64(True):
    x, kernel = (jnp.asarray(value, jnp.float64) for value in (x, kernel))
    y, expected = (f(x, kernel, **settings) for f in (convolution.by_dot, general))
    assert y.dtype == jnp.float64
    np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize('sides', SIDES)
@pytest.mark.parametrize('groups, inputs, outputs', [(1, 3, 4), (2, 6, 4), (3, 6, 9), (4, 4, 4)])
def test_grouped_by_dot(sides, groups, inputs, outputs):
  x, kernel = maps(2, *sides, inputs), maps(1, 1, inputs // groups, outputs, seed=1)
  assert_is_the_convolution(
    convolution.grouped_by_dot,
    x,
    kernel,
    strides=(1, 1),
    padding=((0, 0), (0, 0)),
    feature_group_count=groups,
  )


@pytest.mark.parametrize(
  'size, strides, padding',
  [
    ((3, 3), (1, 1), ((0, 0), (0, 0))),
    ((1, 2), (1, 1), ((0, 0), (0, 0))),
    ((1, 1), (2, 2), ((0, 0), (0, 0))),
    ((1, 1), (1, 1), ((1, 1), (1, 1))),
    ((1, 1), (1, 1), ((0, 0), (0, 1))),
  ],
)
def test_grouped_by_dot_refuses_other_shapes(size, strides, padding):
  with pytest.raises(ValueError, match='needs a 1x1 kernel, stride 1 and no padding'):
    convolution.grouped_by_dot(
      maps(1, 4, 4, 4), maps(*size, 2, 4), strides, padding, feature_group_count=2
    )


@pytest.mark.parametrize('sides', SIDES)
@pytest.mark.parametrize(
  'size, strides, padding',
  [
    ((3, 3), (1, 1), ((1, 1), (1, 1))),
    ((3, 3), (2, 2), ((1, 1), (1, 1))),
    ((3, 2), (2, 1), ((2, 0), (0, 1))),
    ((5, 5), (2, 3), ((2, 2), (2, 2))),
    ((3, 3), (2, 2), ((0, 0), (0, 0))),
  ],
)
def test_depthwise_by_shift(sides, size, strides, padding):
  x, kernel = maps(2, *sides, 4), maps(*size, 1, 4, seed=1)
  assert_is_the_convolution(
    convolution.depthwise_by_shift,
    x,
    kernel,
    strides=strides,
    padding=padding,
    feature_group_count=4,
  )


@pytest.mark.parametrize('kernel', [(3, 3, 2, 4), (3, 3, 1, 8), (3, 3, 1, 2), (3, 3, 4, 4)])
def test_depthwise_by_shift_refuses_other_kernels(kernel):
  with pytest.raises(ValueError, match='not depthwise on 4 channels'):
    convolution.depthwise_by_shift(maps(1, 4, 4, 4), maps(*kernel), (1, 1), ((1, 1), (1, 1)))


@pytest.mark.parametrize('sides', SIDES)
def test_winograd(sides):
  x, kernel = maps(2, *sides, 3), maps(3, 3, 3, 4, seed=1)

  def winograd(x, kernel, **_):
    return convolution.winograd(x, kernel)

  assert_is_the_convolution(winograd, x, kernel, strides=(1, 1), padding=((1, 1), (1, 1)))


@pytest.mark.parametrize('formulation', [convolution.fastest, convolution.fastest_stacked])
@pytest.mark.parametrize(
  'size, channels, strides, padding, chosen',
  [
    (3, (32, 40), (1, 1), 1, True),
    (3, (64, 70), (1, 1), 1, True),
    (3, (31, 40), (1, 1), 1, False),
    (3, (32, 40), (1, 1), 0, False),
    (1, (32, 40), (1, 1), 0, False),
  ],
)
def test_winograd_is_chosen_where_it_applies_and_pays(
  formulation, size, channels, strides, padding, chosen
):
  x, kernel = maps(2, 5, 4, channels[0]), maps(size, size, *channels, seed=1)
  settings = {'strides': strides, 'padding': ((padding,) * 2,) * 2}
  # nn.Conv passes these too.
  others = {'dimension_numbers': ('NHWC', 'HWIO', 'NHWC'), 'feature_group_count': 1}
  program = jax.make_jaxpr(functools.partial(formulation, **settings, **others))(x, kernel)
  assert ('winograd' in str(program)) == chosen
  assert_is_the_convolution(functools.partial(formulation, **others), x, kernel, **settings)


def test_gradients_of_a_stack():
  x, kernels = maps(2, 5, 4, 32), maps(3, 3, 3, 32, 33, seed=1)

  def each(formulation):
    def stacked(x, kernels, **settings):
      return jax.vmap(functools.partial(formulation, x, **settings))(kernels)

    return stacked

  def one_by_one(x, kernels, **settings):
    return jnp.stack([general(x, kernel, **settings) for kernel in kernels])

  settings = {'strides': (1, 1), 'padding': ((1, 1), (1, 1))}
  assert_is_the_convolution(
    each(convolution.fastest_stacked), x, kernels, expected=one_by_one, **settings
  )


@pytest.mark.parametrize('size, strides', [(1, (1, 1)), (1, (2, 2)), (3, (2, 2))])
def test_a_product_of_patches_gives_the_gradient_of_the_kernel(size, strides):
  """XLA's own formulation convolves with a kernel as large as the map, several times slower."""
  x, kernel = maps(2, 6, 7, 64), maps(size, size, 64, 65, seed=1)
  settings = {'strides': strides, 'padding': ((size // 2,) * 2,) * 2}
  fastest = functools.partial(convolution.fastest, dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
  assert_is_the_convolution(fastest, x, kernel, **settings)

  def gradient(kernel, y):
    pull = jax.vjp(lambda kernel: fastest(x, kernel, **settings), kernel)[1]
    return pull(y)

  y = fastest(x, kernel, **settings)
  lowered = jax.jit(gradient).lower(kernel, y).as_text()
  assert 'dot_general' in lowered
  assert lowered.count('stablehlo.convolution') == 0


@pytest.mark.parametrize(
  'settings',
  [
    {'strides': (2, 2)},
    {'feature_group_count': 2},
    {'rhs_dilation': (2, 2)},
    {'lhs_dilation': (2, 2)},
  ],
)
def test_other_settings_are_left_to_xla(settings):
  x = maps(2, 6, 6, 64)
  kernel = maps(3, 3, 64 // settings.get('feature_group_count', 1), 64, seed=1)
  settings = {
    'dimension_numbers': ('NHWC', 'HWIO', 'NHWC'),
    'padding': ((1, 1), (1, 1)),
    'strides': (1, 1),
    **settings,
  }
  result = convolution.fastest(x, kernel, **settings)
  settings['window_strides'] = settings.pop('strides')
  np.testing.assert_array_equal(result, lax.conv_general_dilated(x, kernel, **settings))


@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
@pytest.mark.parametrize('size, strides', [(1, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize('name', ['by_dot', 'depthwise_by_shift', 'fastest', 'fastest_stacked'])
def test_flax_names_of_paddings(name, size, strides, padding):
  """'SAME' is the default of `nn.Conv`."""
  groups = 64 if name == 'depthwise_by_shift' else 1
  make = functools.partial(
    nn.Conv, 64, (size, size), strides=strides, padding=padding, feature_group_count=groups
  )
  kernel = maps(size, size, 64 // groups, 64, seed=1)
  variables = {'params': {'kernel': kernel, 'bias': jnp.zeros(64)}}
  x = maps(2, 6, 7, 64)

  def run(layer):
    # The gradient has a formulation of its own.
    return layer.apply(variables, x), jax.grad(lambda x: jnp.sum(layer.apply(variables, x)))(x)

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3),
    run(make(conv_general_dilated=getattr(convolution, name))),
    run(make()),
  )


@pytest.mark.parametrize('name', ['by_dot', 'depthwise_by_shift', 'fastest_stacked'])
@pytest.mark.parametrize('side', ['input', 'kernel'])
def test_no_formulation_ignores_a_dilation(name, side):
  groups = 32 if name == 'depthwise_by_shift' else 1
  settings = {f'{side}_dilation': 2, 'padding': 1, 'feature_group_count': groups}
  x = maps(2, 6, 6, 32)
  plain = nn.Conv(32, (3, 3), **settings)
  variables = plain.init(jax.random.key(0), x)
  layer = nn.Conv(32, (3, 3), conv_general_dilated=getattr(convolution, name), **settings)
  np.testing.assert_array_equal(layer.apply(variables, x), plain.apply(variables, x))


def test_a_portable_program_keeps_a_dilation():
  x, kernel = maps(1, 6, 6, 32), maps(3, 3, 32, 32, seed=1)
  settings = {'dimension_numbers': ('NHWC', 'HWIO', 'NHWC'), 'rhs_dilation': (2, 2)}
  with convolution.portable():
    y = convolution.fastest(x, kernel, (1, 1), ((1, 1), (1, 1)), **settings)
  assert y.shape == (1, 4, 4, 32)


@pytest.mark.parametrize(
  'platform, operation', [('cpu', 'depthwise_of_padded'), ('tpu', 'conv_general_dilated')]
)
def test_a_tpu_has_a_depthwise_convolution_of_its_own(platform, operation, monkeypatch):
  """Either equals XLA's, with its gradients and under vmap."""
  monkeypatch.setattr(jax, 'default_backend', lambda: platform)
  x, kernels = maps(2, 6, 7, 4), maps(2, 3, 3, 1, 4, seed=1)

  def run(convolve):
    def loss(kernel):
      y = convolve(x, kernel, (2, 1), ((1, 1), (1, 1)), feature_group_count=4, **AXES)
      return jnp.sum(jnp.sin(y)), y

    return jax.vmap(jax.grad(loss, has_aux=True))(kernels)

  assert operation in str(jax.make_jaxpr(lambda: run(convolution.fastest_depthwise))())
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    run(convolution.fastest_depthwise),
    run(lax.conv_general_dilated),
  )


@pytest.mark.parametrize('size, operation', [(1, 'dot_general'), (3, 'conv_general_dilated')])
def test_a_tpu_has_grouped_convolutions_for_a_stack(size, operation, monkeypatch):
  x, kernels = maps(2, 6, 7, 4), maps(3, size, size, 4, 5, seed=1)
  edge = (size // 2,) * 2

  def stack(convolve):
    return jax.vmap(lambda kernel: convolve(x, kernel, (1, 1), (edge, edge), **AXES))(kernels)

  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  assert operation in str(jax.make_jaxpr(lambda: stack(convolution.fastest_stacked))())
  np.testing.assert_allclose(
    stack(convolution.fastest_stacked), stack(lax.conv_general_dilated), rtol=1e-5, atol=1e-5
  )


def test_a_portable_depthwise_convolution_is_chosen_where_it_is_compiled():
  x, kernel = maps(2, 6, 7, 4), maps(3, 3, 1, 4, seed=1)

  def layer(x, kernel):
    padding = ((1, 1), (1, 1))
    return convolution.fastest_depthwise(x, kernel, (1, 1), padding, feature_group_count=4, **AXES)

  with convolution.portable():
    exported = jax.export.export(jax.jit(layer), platforms=['cpu', 'tpu'])(x, kernel)
  assert 'stablehlo.convolution' in exported.mlir_module()
  np.testing.assert_allclose(exported.call(x, kernel), layer(x, kernel), rtol=1e-6, atol=1e-6)


# --- the contexts


def layer(x, kernel):
  axes = ('NHWC', 'HWIO', 'NHWC')
  return convolution.fastest(x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=axes)


CONTEXTS = {
  'neither': (contextlib.nullcontext, 'winograd'),
  'plain': (convolution.plain, 'conv_general_dilated'),
  'portable': (convolution.portable, 'platform_index'),
}


@pytest.mark.parametrize('name', CONTEXTS)
def test_a_function_jitted_before_follows_each_context(name):
  """JAX keeps a trace for each context, and goes back to the first one afterwards."""
  x, kernel = maps(1, 4, 4, 32), maps(3, 3, 32, 32, seed=1)
  jitted = jax.jit(layer)
  for entered in ('neither', name, 'neither'):
    context, operation = CONTEXTS[entered]
    with context():
      assert operation in str(jitted.trace(x, kernel).jaxpr)
      lowered = jitted.lower(x, kernel).as_text()  # For this CPU, where portable is Winograd too.
      assert ('stablehlo.convolution' in lowered) == (entered == 'plain')
      np.testing.assert_allclose(jitted(x, kernel), layer(x, kernel), rtol=1e-5, atol=1e-5)


def test_a_function_is_traced_once_in_each_context():
  traces = []

  @jax.jit
  def jitted(x, kernel):
    traces.append(1)
    return layer(x, kernel)

  x, kernel = maps(1, 4, 4, 32), maps(3, 3, 32, 32, seed=1)
  for context in 2 * [contextlib.nullcontext, convolution.plain, convolution.portable]:
    with context():
      jitted(x, kernel)
  assert len(traces) == 3


def test_a_plain_convolution_has_a_derivative_in_forward_mode():
  x, kernel = maps(1, 4, 4, 32), maps(3, 3, 32, 32, seed=1)

  def derivative():
    return jax.jvp(functools.partial(layer, x), (kernel,), (kernel,))[1]

  with pytest.raises(TypeError, match='custom_vjp'):
    derivative()
  with convolution.plain():
    np.testing.assert_allclose(derivative(), layer(x, kernel), rtol=1e-5, atol=1e-5)


def test_contexts_nest_and_end_after_an_error():
  x, kernel = maps(1, 4, 4, 32), maps(3, 3, 32, 32, seed=1)
  with pytest.raises(RuntimeError), convolution.portable():
    with convolution.plain():
      assert 'winograd' not in str(jax.make_jaxpr(layer)(x, kernel))
    assert 'platform_index' in str(jax.make_jaxpr(layer)(x, kernel))
    raise RuntimeError
  assert 'platform_index' not in str(jax.make_jaxpr(layer)(x, kernel))
