"""Losses and gradients of later rivals beside numbers of their authors' code, in float64.

`rivals_2024.py` made the numbers, from `inputs`.
"""

import json
import pathlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import methods
from pidkd_jax.core.types import Batch, Features
from pidkd_jax.methods import mlkd
from pidkd_jax.models.network import TeacherOutputs
from tests.given import Given, Linear
from tests.peers import inputs

DATASET = types.SimpleNamespace(normalisation=None)
PEERS = json.loads(pathlib.Path(__file__).with_name('rivals_2024.json').read_text())


def check(name, terms, leaves, bound=1e-10):
  """Compare the sum of a method's own terms, and its gradients, with the authors'.

  Args:
    name: in PEERS.
    terms: a function from {name of a leaf: array} to the terms.
    leaves: {name: array} in float64.
    bound: largest relative difference.
  """

  def total(leaves):
    found = {key: jnp.mean(x) for key, x in terms(leaves).items()}
    return sum(x for key, x in found.items() if key not in ('cross_entropy', 'soft_target'))

  loss, gradients = jax.jit(jax.value_and_grad(total))(jax.tree.map(jnp.asarray, leaves))
  assert float(loss) == pytest.approx(PEERS[name]['loss'], rel=bound)
  found = {key: inputs.summary(np.asarray(gradient)) for key, gradient in gradients.items()}
  assert found.keys() == PEERS[name]['gradients'].keys()
  for key, expected in PEERS[name]['gradients'].items():
    np.testing.assert_allclose(found[key], expected, rtol=bound, err_msg=key)


class Classifier:
  """In place of the teacher's network: it only classifies."""

  def classify(self, pooled):
    kernel, bias = inputs.CLASSIFIER
    return pooled @ kernel + bias


def of_logits(name, leaves, variables=None, network=None, progress=1.0, **options):
  """Return the terms of a method that reads the logits, {'logits': ...}."""
  method = methods.create(name)(student=Given(), target=None, dataset=DATASET)
  batch = Batch(leaves['logits'], jnp.asarray(inputs.LABEL), None)
  seen = TeacherOutputs(network, None, inputs.TEACHER_LOGITS)
  return method.apply(variables or {}, batch, seen, progress=progress, method='loss', **options)


def of_pooled(name, leaves, variables, target=inputs.TEACHER_POOLED):
  """Return the terms of a method that reads the pooled features, {'pooled': ..., ...}."""
  method = methods.create(name)(student=None, target=None, dataset=None)
  ours, taught = (Features((), (), None, pooled) for pooled in (leaves['pooled'], target))
  seen = TeacherOutputs(Classifier(), taught, inputs.TEACHER_LOGITS)
  return method.apply(variables, ours, seen, None, 1.0, method='terms')


@pytest.fixture(autouse=True)
def float64():
  with jax.enable_x64(True):
    yield


def test_dist():
  check('dist', lambda leaves: of_logits('dist', leaves), {'logits': inputs.STUDENT_LOGITS})


def test_srd():
  def terms(leaves):
    return of_pooled('srd', leaves, {'params': {'projector': {'kernel': leaves['projector']}}})

  check('srd', terms, {'pooled': inputs.STUDENT_POOLED, 'projector': inputs.PROJECTOR})


@pytest.mark.parametrize('name', inputs.VKD)
def test_vkd(name):
  student, teacher = inputs.VKD[name]
  base, generator = inputs.orthogonal(student.shape[-1], teacher.shape[-1])

  def terms(leaves):
    variables = {
      'params': {'projector': {'generator': leaves['generator']}},
      'base': {'projector': {'matrix': base}},
    }
    return of_pooled('vkd', leaves, variables, teacher)

  check(name, terms, {'pooled': student, 'generator': generator})


def test_thkd():
  check('thkd', lambda leaves: of_pooled('thkd', leaves, {}), {'pooled': inputs.TEACHER_POOLED})


def test_norm():
  student = Linear(inputs.CLASSES)
  target = Features((), (), inputs.TEACHER_MAP, inputs.TEACHER_POOLED)
  seen = TeacherOutputs(None, target, inputs.TEACHER_LOGITS)
  method = methods.create('norm', num_groups=2, divergence_weight=0.5)
  method = method(student=student, target=target, dataset=None)
  names = {'expand': ('kernel', 'scale', 'bias'), 'reduce': ('kernel', 'scale', 'bias')}
  names['head'] = ('kernel', 'bias')
  leaves = {
    f'{part}_{name}': value
    for part, given in names.items()
    for name, value in zip(given, inputs.NORM[part])
  }
  running = {
    part: {'norm': {'mean': np.zeros(size), 'var': np.ones(size)}}
    for part, size in (('expand', 16), ('reduce', 5))
  }

  def terms(leaves):
    params = {
      part: {
        'conv': {'kernel': leaves[f'{part}_kernel'][None, None]},
        'norm': {'scale': leaves[f'{part}_scale'], 'bias': leaves[f'{part}_bias']},
      }
      for part in running
    }
    head = {name: leaves[f'head_{name}'] for name in ('kernel', 'bias')}
    params['student'] = {'linear': head}
    batch = Batch(leaves['map'], jnp.asarray(inputs.LABEL), None)
    found, _ = method.apply(
      {'params': params, 'batch_stats': running},
      *(batch, seen),
      progress=jnp.float64(0.5),
      method='loss',
      mutable=['batch_stats'],
    )
    return {'whole': sum(map(jnp.mean, found.values()))}

  check('norm', terms, {'map': inputs.STUDENT_MAP, **leaves})


def test_wttm():
  check('wttm', lambda leaves: of_logits('wttm', leaves), {'logits': inputs.STUDENT_LOGITS})


@pytest.mark.parametrize('name', inputs.CATKD)
def test_catkd(name):
  weight, resolution, normalize = inputs.CATKD[name]
  chosen = {'weight': weight, 'resolution': resolution, 'normalize': normalize}
  method = methods.create('catkd', **chosen)
  method = method(student=Linear(inputs.CLASSES), target=None, dataset=None)
  target = Features((), (), inputs.TEACHER_MAP, None)
  seen = TeacherOutputs(Classifier(), target, None)

  def terms(leaves):
    linear = {'kernel': leaves['kernel'], 'bias': inputs.OWN_CLASSIFIER[1]}
    params = {'params': {'student': {'linear': linear}}}
    ours = Features((), (), leaves['map'], None)
    return method.apply(params, ours, seen, None, 1.0, method='terms')

  check(name, terms, {'map': inputs.STUDENT_MAP, 'kernel': inputs.OWN_CLASSIFIER[0]})


def test_ctkd():
  def terms(leaves):
    variables = {'params': {'temperature': leaves['level']}}
    found = of_logits('ctkd', leaves, variables, progress=inputs.EPOCH / 240)
    return {'whole': found['soft_target']}

  check('ctkd', terms, {'logits': inputs.STUDENT_LOGITS, 'level': inputs.LEVEL})


@pytest.mark.parametrize('name, bound', [('mlkd', 1e-10), ('mlkd_standardized', 1e-6)])
def test_mlkd(name, bound, monkeypatch):
  class Network:
    def encode(self, image):
      return Features((), (), None, inputs.STRONG_TEACHER_LOGITS)

    def classify(self, pooled):
      return pooled

  def terms(leaves):
    monkeypatch.setattr(mlkd, 'strong_view', lambda *_, **__: leaves['strong'])
    key = {'method': jax.random.key(0)}
    found = of_logits(name, leaves, network=Network(), rngs=key)
    return {'whole': sum(map(jnp.mean, found.values()))}

  logits = {'logits': inputs.STUDENT_LOGITS, 'strong': inputs.STRONG_STUDENT_LOGITS}
  check(name, terms, logits, bound)
