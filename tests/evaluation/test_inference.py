"""Networks over whole splits, whose size need not be a multiple of the batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.evaluation import inference
from pidkd_jax.evaluation.evaluate import evaluate_metrics

MEAN, STD = (0.5, 0.4, 0.3), (0.3, 0.2, 0.1)


@pytest.fixture(scope='module')
def arrays():
  rng = np.random.default_rng(0)
  return ResidentSplit(
    rng.integers(0, 256, (10, 8, 8, 3), np.uint8), rng.integers(0, 3, 10).astype(np.int32)
  )


@pytest.fixture(scope='module')
def normalised(arrays):
  return jnp.asarray((arrays.images / 255 - np.array(MEAN)) / np.array(STD), jnp.float32)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
  monkeypatch.setattr(inference, 'BATCH_SIZE', 4)


def batches(arrays):
  return inference.eval_batches(arrays, Normalisation(MEAN, STD))


@pytest.mark.parametrize('size', [1, 4, 7, 10])
def test_logits_are_those_of_each_image_alone(size, teacher, arrays, normalised):
  logits = inference.logits(teacher, batches(arrays.take(np.arange(size))))
  assert logits.shape == (size, 3) and logits.dtype == np.float32
  alone = jax.jit(functools.partial(teacher.model.apply, teacher.variables))
  for i in range(size):
    np.testing.assert_allclose(logits[i], alone(normalised[i : i + 1])[0], rtol=1e-3, atol=1e-4)


def test_a_network_is_compiled_once_for_all_batches_and_variables(teacher, arrays):
  inference.logits(teacher, batches(arrays))
  before = inference._logits._cache_size()
  other = teacher.replace(variables=jax.tree.map(lambda leaf: leaf * 2, teacher.variables))
  inference.logits(other, batches(arrays))
  assert inference._logits._cache_size() == before


def test_logits_in_another_precision_are_float32_and_near(teacher, arrays):
  split = batches(arrays)
  ours, theirs = (inference.logits(teacher, one) for one in (split.in_precision('bfloat16'), split))
  assert ours.dtype == np.float32
  assert 0 < np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()
  assert split.in_precision('float32') is split


def alignment_error(network, teacher, arrays):
  [error] = inference.alignment_errors({'network': network}, teacher, batches(arrays)).values()
  return error


def test_a_network_is_aligned_with_itself(teacher, arrays):
  # The two maps come from different programs, so rounding may differ.
  assert alignment_error(teacher, teacher, arrays) < 1e-9


def silenced(network):
  """Return the network with a last map of zeros."""
  variables = jax.tree.map(jnp.array, network.variables)
  block = variables['params']['stage3_block1']
  for layer in ('second', 'shortcut'):
    block[layer]['norm'] = jax.tree.map(jnp.zeros_like, block[layer]['norm'])
  return network.replace(variables=variables)


def test_zero_is_aligned_with_nothing(teacher, arrays):
  zero = silenced(teacher)
  assert not np.any(zero.encode(jnp.ones((1, 8, 8, 3))).target)
  assert alignment_error(zero, teacher, arrays) == 1


def test_a_teacher_of_zeros_leaves_no_ratio(teacher, arrays):
  assert inference.alignment_errors({'itself': teacher}, silenced(teacher), batches(arrays)) == {}


def test_alignment_error_is_a_ratio_of_sums_over_the_real_images(teacher, fill, arrays, normalised):
  other = teacher.replace(variables=fill(teacher.variables, seed=5))
  z, z_t = (np.asarray(network.encode(normalised).target) for network in (other, teacher))
  expected = np.sum((z - z_t) ** 2) / np.sum(z_t**2)
  np.testing.assert_allclose(alignment_error(other, teacher, arrays), expected, rtol=1e-4)


def test_padding_changes_no_alignment(teacher, fill, arrays, monkeypatch):
  other = teacher.replace(variables=fill(teacher.variables, seed=5))
  errors = []
  for batch_size in (4, 10):
    monkeypatch.setattr(inference, 'BATCH_SIZE', batch_size)
    errors.append(alignment_error(other, teacher, arrays))
  np.testing.assert_allclose(*errors, rtol=1e-5)


def test_a_teacher_of_other_channels_is_refused(teacher):
  target, images = (jax.ShapeDtypeStruct((4, side, side, 3), jnp.float32) for side in (2, 8))
  with pytest.raises(UserError, match=r'map of \d+ channels, .* has 3; give the `teacher` that'):
    jax.eval_shape(inference._squares, teacher, target, images, jnp.ones(4, bool))


def test_several_networks_are_each_compared_with_the_teacher(teacher, arrays):
  networks = {'zero': silenced(teacher), 'itself': teacher}
  errors = inference.alignment_errors(networks, teacher, batches(arrays))
  assert errors.keys() == networks.keys()
  assert errors['zero'] == 1 and errors['itself'] < 1e-9


def test_metrics_of_a_network_with_its_teacher(teacher, fill, arrays):
  student = teacher.replace(variables=fill(teacher.variables, seed=5))
  networks = {'student': student, 'teacher': teacher}
  alone = evaluate_metrics(networks, arrays, Normalisation(MEAN, STD), None)['student']
  judged = evaluate_metrics(networks, arrays, Normalisation(MEAN, STD), teacher)
  assert judged.keys() == networks.keys()
  taught = judged['student']
  assert taught.keys() - alone.keys() == {'agreement'}
  assert {name: taught[name] for name in alone} == alone
  # Another student's map is not made to equal the teacher's: its distance means nothing.
  assert 'alignment_error' not in taught
  assert judged['teacher']['agreement'] == 1


def test_alignment_is_measured_where_it_was_trained(teacher, arrays):
  class Aligned(type(teacher.model)):
    aligned = True

  model = Aligned(num_classes=3, depth=8, widths=teacher.model.widths)
  networks = {'aligned': teacher.replace(model=model), 'other': teacher}
  judged = evaluate_metrics(networks, arrays, Normalisation(MEAN, STD), teacher)
  assert judged['aligned']['alignment_error'] < 1e-9
  assert 'alignment_error' not in judged['other']
