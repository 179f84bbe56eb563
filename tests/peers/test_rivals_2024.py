"""Losses and gradients of later rivals beside numbers of their authors' code, in float64.

`rivals_2024.py` made the numbers, from `inputs`.
"""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import methods
from pidkd_jax.core.types import Batch, Features
from pidkd_jax.models.network import TeacherOutputs
from tests.given import Given
from tests.peers import inputs

PEERS = json.loads(pathlib.Path(__file__).with_name('rivals_2024.json').read_text())


def check(name, terms, leaves):
  """Compare the sum of a method's own terms, and its gradients, with the authors'.

  Args:
    name: in PEERS.
    terms: a function from {name of a leaf: array} to the terms.
    leaves: {name: array} in float64.
  """

  def total(leaves):
    found = {key: jnp.mean(x) for key, x in terms(leaves).items()}
    return sum(x for key, x in found.items() if key not in ('cross_entropy', 'soft_target'))

  loss, gradients = jax.value_and_grad(total)(jax.tree.map(jnp.asarray, leaves))
  assert float(loss) == pytest.approx(PEERS[name]['loss'], rel=1e-10)
  found = {key: inputs.summary(np.asarray(gradient)) for key, gradient in gradients.items()}
  assert found.keys() == PEERS[name]['gradients'].keys()
  for key, expected in PEERS[name]['gradients'].items():
    np.testing.assert_allclose(found[key], expected, rtol=1e-10, err_msg=key)


def features(target, pooled):
  """Return features of which only the last map counts."""
  return Features((target, target), (target, target), target, pooled)


def seen(network=None):
  """Return the teacher's outputs."""
  taught = features(inputs.TEACHER_MAP, inputs.TEACHER_POOLED)
  return TeacherOutputs(network, taught, inputs.TEACHER_LOGITS)


def of_pooled(name, leaves, *, variables=None):
  """Return the terms of a method that reads the pooled features, {'pooled': ..., **params}."""
  method = methods.create(name)(student=None, target=None, dataset=None)
  params = {key: leaf for key, leaf in leaves.items() if key != 'pooled'}
  ours = features(inputs.STUDENT_MAP, leaves['pooled'])
  variables = {'params': params, **(variables or {})}
  return method.apply(variables, ours, seen(), None, 1.0, method='terms')


@pytest.fixture(autouse=True)
def float64():
  with jax.enable_x64(True):
    yield


def test_dist():
  method = methods.create('dist')(student=Given(), target=None, dataset=None)

  def terms(leaves):
    batch = Batch(leaves['logits'], jnp.asarray(inputs.LABEL), None)
    return method.apply({}, batch, seen(), progress=1.0, method='loss')

  check('dist', terms, {'logits': inputs.STUDENT_LOGITS})


def test_srd():
  def terms(leaves):
    leaves = {**leaves, 'projector': {'kernel': leaves['projector']}}
    return of_pooled('srd', leaves)

  check('srd', terms, {'pooled': inputs.STUDENT_POOLED, 'projector': inputs.PROJECTOR})
