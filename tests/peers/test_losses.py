"""Losses and gradients beside numbers that the authors' own code computed, in float64.

`features.json` lists each case: how its inputs and parameters are drawn, and the peer's loss and
gradients. The peers are SimKD's code (fitnet, at, sp, vid, srrl, semckd, crd, simkd), mdistiller's
(rkd, pkt, kd, dkd, reviewkd), PEFD's and logit standardisation's. None of their code is here.
"""

import json
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import methods
from pidkd_jax.core.types import Batch, Features
from pidkd_jax.methods import crd
from pidkd_jax.models.network import TeacherOutputs
from tests.given import Examples, Given

CASES = json.loads(pathlib.Path(__file__).with_name('features.json').read_text())['cases']
# The peer's names that are not those of this package.
NAMES = {'kd': 'kd_1_1', 'kd_std': 'kd_01_09_standardized', 'dkd_std': 'dkd_standardized'}
LOGITS = ('kd', 'dkd', 'kd_std', 'dkd_std')
# Relative differences. These peers add an epsilon where this package has none, or another one.
BOUNDS = {'pkt': 1e-7, 'crd': 1e-5, 'kd_std': 1e-7, 'dkd_std': 1e-7}
ROUNDING = 1e-12
EXAMPLES = Examples.of(500, num_classes=100)


class Classifier:
  """In place of the teacher's network: it only classifies."""

  def __init__(self, seed, channels):
    self.kernel = scaled(draw([seed, 43], (100, channels)), 0.2).T
    self.bias = scaled(draw([seed, 44], (100,)), 0.1)

  def classify(self, pooled):
    return pooled @ self.kernel + self.bias


def draw(rng, shape):
  """Standard normal numbers that were rounded to float32."""
  return np.random.default_rng(rng).standard_normal(shape).astype(np.float32).astype(np.float64)


def to_float32(x):
  return np.asarray(x, np.float32).astype(np.float64)


def nhwc(x):
  return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def inputs_of(case):
  """Return (the student's arrays, the teacher's arrays, the labels) by name."""
  student, teacher = {}, {}
  for entry in case['inputs']:
    whose, name = entry['name'].split('_', 1)
    x = draw(entry['rng'], entry['shape'])
    x = nhwc(np.maximum(x, 0) if entry['transform'] == 'relu' else x)
    (student if whose == 'student' else teacher)[name] = x
  rng = np.random.default_rng([case['seed'], 42])
  return student, teacher, rng.integers(0, 100, case['batch']).astype(np.int32)


def numbered(arrays, name):
  return tuple(value for key, value in arrays.items() if re.fullmatch(rf'{name}_\d+', key))


def scaled(x, factor):
  """Multiply in float32."""
  return (x.astype(np.float32) * np.float32(factor)).astype(np.float64)


def parameters_of(case):
  """Return the peer's parameters under this package's paths, in its layout."""
  flat = {}
  for entry in case['parameters']:
    path = entry['product']
    if path.startswith('('):  # A bias before a norm, which has no counterpart.
      continue
    value = draw_parameter(entry)
    axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(value.ndim, range(value.ndim))
    value = value.transpose(*axes)
    if match := re.fullmatch(r'(.*)\[(\d)\]', path):
      flat.setdefault(match[1], []).append(value)
    elif path.endswith(' (leading axis 1)'):
      flat[path.removesuffix(' (leading axis 1)')] = value[None]
    else:
      flat[path] = value
  flat = {path: np.stack(v) if isinstance(v, list) else v for path, v in flat.items()}
  return traverse_util.unflatten_dict(flat, sep='/')


def draw_parameter(entry):
  normal = np.random.default_rng(entry['rng']).standard_normal(entry['shape'])
  return to_float32(to_float32(normal) * entry['scale'] + entry['offset'])


def features(maps, preactivations, target, pooled):
  stem = jnp.zeros((1,))
  return Features((stem, *maps), (stem, *preactivations), target, pooled)


def memory_of(case):
  """Return CRD's memory before its first step."""
  sides = {}
  for side, entry in case['banks'].items():
    bank = np.random.default_rng(entry['rng']).standard_normal(entry['shape'])
    bank = bank / np.linalg.norm(bank, axis=1, keepdims=True)
    sides[side] = {'embeddings': to_float32(bank), 'log_normalizer': np.float64(-np.inf)}
  return {'memory': sides}


def identity(case):
  chosen = '-'.join(f'{name}{value}' for name, value in case['hyperparameters'].items())
  return '-'.join(filter(None, [case['method'], chosen, case['pair'], str(case.get('step', ''))]))


@pytest.fixture
def drawn(monkeypatch):
  """Return a function that makes CRD draw a case's negatives."""

  def use(case):
    counts = np.zeros((case['batch'], 500))
    for row, negatives in enumerate(case['negatives']):
      np.add.at(counts[row], negatives, 1)
    monkeypatch.setattr(crd, 'negatives', lambda *_: jnp.asarray(counts))

  return use


@pytest.mark.parametrize('case', CASES, ids=identity)
def test_loss_and_gradients_are_the_authors(case, drawn):
  with jax.enable_x64(True):
    loss, gradients = compute(case, drawn)
  bound = BOUNDS.get(case['method'], ROUNDING)
  assert loss == pytest.approx(case['loss'], rel=bound)
  assert gradients.keys() >= case['gradient_norms'].keys()
  for name, norm in case['gradient_norms'].items():
    assert np.linalg.norm(gradients[name]) == pytest.approx(norm, rel=10 * bound), name
    np.testing.assert_allclose(
      gradients[name].ravel()[:4],
      case['gradient_first'][name],
      rtol=100 * bound,
      atol=bound * norm,
      err_msg=name,
    )


def compute(case, drawn):
  """Return this package's loss, and its gradients by the names of the case."""
  student, teacher, label = inputs_of(case)
  before = numbered(teacher, 'preactivation')
  maps = tuple(np.maximum(x, 0) for x in before)
  # The teacher's pooled features are means of the map that was rounded.
  target = features(maps, before, maps[-1], to_float32(maps[-1].mean((1, 2))))
  seen = TeacherOutputs(
    Classifier(case['seed'], maps[-1].shape[-1]), target, scaled(teacher['logits'], 5)
  )
  name = NAMES.get(case['method'], case['method'])
  # Temperatures and weights of the logits' methods are this package's defaults.
  chosen = {} if case['method'] in LOGITS else case['hyperparameters']
  on_image = case['method'] in LOGITS or name == 'simkd_published'
  method = methods.create(name, **chosen)(
    student=Given() if on_image else None, target=target, dataset=EXAMPLES
  )
  index = np.asarray(case.get('index', np.arange(case['batch'])), np.int32)
  variables = {'params': parameters_of(case)}
  leaves = {key: value for key, value in student.items() if key != 'logits'}
  last = list(numbered(student, 'map'))[-1]
  leaves['pooled'] = to_float32(student.get('target', last).mean((1, 2)))
  if case['method'] in LOGITS:
    leaves = {'pooled': scaled(student['logits'], 3)}
  elif on_image:
    leaves = {'map_1': last}
  if name == 'crd':
    drawn(case)
    variables |= memory_of(case)

  def loss(params, leaves, others):
    if on_image:
      [image] = leaves.values()
      given = (Batch(image, jnp.asarray(label), index), seen)
      options = {'progress': jnp.float32(1), 'method': 'loss'}
    else:
      maps = numbered(leaves, 'map')
      ours = features(maps, (), leaves.get('target', maps[-1]), leaves['pooled'])
      given = (ours, seen, Batch(None, jnp.asarray(label), index), jnp.float32(1))
      options = {'method': 'terms'}
    terms, changed = method.apply(
      {'params': params, **others},
      *given,
      **options,
      mutable=True,
      rngs={'method': jax.random.key(0)},
    )
    terms = {key: term for key, term in terms.items() if key != 'cross_entropy'}
    return sum(map(jnp.mean, terms.values())), changed

  differentiate = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
  params = variables.pop('params')
  for _ in range(case.get('step', 1)):
    (value, changed), (by_params, by_leaves) = differentiate(params, leaves, variables)
    variables = {key: tree for key, tree in changed.items() if key in variables}
  gradients = traverse_util.flatten_dict(by_params, sep='/')
  if on_image and gradients:
    gradients = {path.removeprefix('projectors/projectors/'): x for path, x in gradients.items()}
  for key, gradient in by_leaves.items():
    axes = (0, 3, 1, 2) if gradient.ndim == 4 else range(gradient.ndim)
    gradients[f'student_{key}'] = gradient.transpose(axes)
  return float(value), {path: np.asarray(x) for path, x in gradients.items()}
