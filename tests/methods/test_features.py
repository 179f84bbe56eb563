"""Methods that compare features, derived once more in float64 or by PyTorch on small arrays."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import methods, models
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Batch, Features
from pidkd_jax.methods import vid
from pidkd_jax.methods.rkd import relations
from pidkd_jax.models.network import TeacherOutputs
from pidkd_jax.nn import losses
from pidkd_jax.training.step import observe
from tests.given import Linear

torch = pytest.importorskip('torch', reason='PyTorch is not installed')
F = torch.nn.functional
RNG = np.random.default_rng(0)
BATCH = 6


def features(*shapes, pooled=5, seed=0):
  """Maps of these (size, channels), the stem's first, and a pooled feature."""
  rng = np.random.default_rng(seed)
  maps = tuple(
    np.abs(rng.normal(size=(BATCH, size, size, channels))).astype(np.float32)
    for size, channels in shapes
  )
  before = tuple(x - np.float32(0.5) for x in maps)
  target = np.abs(rng.normal(size=(BATCH, 2, 2, pooled))).astype(np.float32)
  return Features(maps, before, target, np.mean(target, axis=(1, 2)))


# Of other resolutions, channels and number: what has no partner takes no part.
STUDENT = features((8, 3), (8, 4), (4, 6), (2, 7), (2, 8), pooled=5, seed=1)
TEACHER = features((8, 4), (4, 5), (4, 6), (4, 9), pooled=10, seed=2)
LABEL = np.arange(BATCH) % 3


KERNEL = RNG.normal(size=(10, 3)).astype(np.float32)


class Classify:
  """In place of the teacher's network: it only classifies."""

  def classify(self, pooled):
    return pooled @ KERNEL


def view(teacher):
  return TeacherOutputs(Classify(), teacher, teacher.pooled @ KERNEL[: teacher.pooled.shape[-1]])


def batch():
  return Batch(None, jnp.asarray(LABEL, jnp.int32), jnp.arange(BATCH, dtype=jnp.int32))


def begin(method, student, teacher, progress):
  """The terms of a method on given features, and the variables with which it begins."""
  rngs = {'params': jax.random.key(0), 'method': jax.random.key(1)}
  given = student, view(teacher), batch(), progress
  return method.init_with_output(rngs, *given, method='terms')


compiled = jax.jit(begin, static_argnames='method')


def run(name, student=STUDENT, teacher=TEACHER, dataset=None, progress=1.0, **chosen):
  """The terms of a method on given features, and the variables with which it began."""
  method = methods.create(name, **chosen)(student=None, target=None, dataset=dataset)
  return compiled(method, student, teacher, jnp.float32(progress))


def tensor(x):
  """NHWC to PyTorch's NCHW, in float64."""
  x = torch.tensor(np.asarray(x, np.float64))
  return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def kernel(x):
  return torch.tensor(np.asarray(x, np.float64)).permute(3, 2, 0, 1)


def pairs(student=STUDENT, teacher=TEACHER):
  """Both networks' stages at their common size, by PyTorch."""
  found = []
  for s, t in zip(student.stages[1:], teacher.stages[1:]):
    s, t = tensor(s), tensor(t)
    size = min(s.shape[-1], t.shape[-1])
    found.append((F.adaptive_avg_pool2d(s, size), F.adaptive_avg_pool2d(t, size)))
  return found


def mean(term):
  return float(np.mean(term))


def test_the_harness_weighs_labels_divergence_and_terms(assemble, batches, teacher):
  """On a real student; the terms are SP's."""
  student = models.create('tests.plain:Plain', num_classes=3)
  chosen = dict(label_weight=0.5, divergence_weight=3.0, temperature=2.0, weight=7.0)
  method = methods.create('sp', **chosen)(student=student, target=None, dataset=None)
  seen = observe(teacher, batches[0])
  init = jax.jit(functools.partial(method.init_with_output, method='loss'))
  found, variables = init(jax.random.key(0), batches[0], seen, progress=jnp.float32(1))
  assert found.keys() == {'cross_entropy', 'soft_target', 'similarity'}
  own = {name: tree['student'] for name, tree in variables.items()}
  assert all(tree.keys() == {'student'} for tree in variables.values())

  def look(own, image):
    made = student.apply(own, image, train=True, method='encode', mutable=['batch_stats'])[0]
    return made, student.apply(own, made.pooled, method='classify')

  made, logits = jax.jit(look)(own, batches[0].image)
  np.testing.assert_allclose(
    found['cross_entropy'], 0.5 * losses.cross_entropy(logits, batches[0].label), rtol=1e-4
  )
  np.testing.assert_allclose(
    found['soft_target'], 3 * losses.soft_targets(logits, seen.logits, 2.0), rtol=1e-4, atol=1e-5
  )
  alone = method.apply({}, made, seen, batches[0], 0, method='terms')
  np.testing.assert_allclose(found['similarity'], alone['similarity'], rtol=1e-3, atol=1e-4)


def test_what_repdistiller_leaves_out_has_weight_zero():
  for name in ('fitnet', 'at', 'sp', 'vid', 'rkd', 'pkt', 'crd', 'srrl', 'semckd'):
    assert methods.defaults(name)['divergence_weight'] == 1.0
  for name in ('pefd', 'reviewkd'):
    assert methods.defaults(name)['divergence_weight'] == 0.0


# --- without parameters


def test_at_by_pytorch():
  expected = 0.0
  for s, t in pairs():
    q_s, q_t = (F.normalize(x.pow(2).sum(1).flatten(1)) for x in (s, t))
    expected += ((q_s - q_t) ** 2).mean()
  terms, variables = run('at')
  assert terms.keys() == {'attention'} and terms['attention'].shape == (BATCH,)
  assert variables == {}
  np.testing.assert_allclose(mean(terms['attention']), 1000 * expected, rtol=1e-4)


def test_sp_by_hand():
  expected = 0.0
  rows = []
  for made in (STUDENT, TEACHER):
    flat = np.asarray(made.stages[-1], np.float64).reshape(BATCH, -1)
    gram = np.array([[a @ b for b in flat] for a in flat])
    rows.append(gram / np.sqrt((gram**2).sum(axis=1))[:, None])
  expected = np.sum((rows[0] - rows[1]) ** 2) / BATCH**2
  terms, variables = run('sp')
  assert variables == {}
  np.testing.assert_allclose(mean(terms['similarity']), 3000 * expected, rtol=1e-4)


def test_the_last_map_is_the_target_where_the_head_keeps_the_shape():
  """The final norm and ReLU of pre-activation networks; not the last convolution of others."""
  raw = features((8, 4), (4, 6), (2, 5), pooled=5)
  assert raw.maps == (raw.stages[1], raw.target)
  other = features((8, 4), (4, 6), (2, 4), pooled=5)
  assert other.maps == other.stages[1:]


def test_pkt_by_hand():
  rows = []
  for made in (STUDENT, TEACHER):
    x = np.asarray(made.pooled, np.float64)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    similarity = (x @ x.T + 1) / 2
    rows.append(similarity / similarity.sum(axis=1, keepdims=True))
  q, p = rows
  terms, variables = run('pkt', weight=3.0)
  assert variables == {}
  # Float32 leaves five digits of a difference of near-equal numbers.
  np.testing.assert_allclose(mean(terms['neighbours']), 3 * np.mean(p * np.log(p / q)), rtol=5e-3)


def huber(x):
  return np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5)


def test_rkd_by_hand():
  distances, angles = [], []
  for made in (STUDENT, TEACHER):
    x = np.asarray(made.pooled, np.float64)
    d = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
    distances.append(d / d[~np.eye(BATCH, dtype=bool)].mean())
    angle = np.zeros((BATCH,) * 3)
    for i, j, k in np.ndindex(*angle.shape):
      if i not in (j, k):
        a, b = x[j] - x[i], x[k] - x[i]
        angle[i, j, k] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    angles.append(angle)
  terms, variables = run('rkd')
  assert variables == {}
  np.testing.assert_allclose(
    mean(terms['distance']), 25 * huber(distances[0] - distances[1]).mean(), rtol=1e-4
  )
  np.testing.assert_allclose(
    mean(terms['angle']), 50 * huber(angles[0] - angles[1]).mean(), rtol=1e-4
  )


def test_far_distances_and_opposite_angles_count_linearly():
  """One image far from the others, and angles of 0 and 180 degrees: beyond Huber's bend at 1."""

  def line(*places):
    x = np.zeros((BATCH, 5), np.float32)
    x[:, 0] = places
    return STUDENT.replace(pooled=x)

  ours, theirs = line(0, 1, 2, 3, 4, 30), line(5, 0, 1, 2, 3, 4)
  d, a = [], []
  for x in np.array([0, 1, 2, 3, 4, 30]), np.array([5, 0, 1, 2, 3, 4]):
    distance = np.abs(x[:, None] - x)
    d.append(distance / distance.sum() * 30)
    sign = np.sign(x - x[:, None])
    a.append(sign[:, :, None] * sign[:, None, :])
  assert np.max(np.abs(d[0] - d[1])) > 1 and np.max(np.abs(a[0] - a[1])) == 2
  terms, _ = run('rkd', student=ours, teacher=theirs, distance_weight=1.0, angle_weight=1.0)
  np.testing.assert_allclose(mean(terms['distance']), huber(d[0] - d[1]).mean(), rtol=1e-4)
  np.testing.assert_allclose(mean(terms['angle']), huber(a[0] - a[1]).mean(), rtol=1e-4)


def test_a_right_angle_and_a_distance_twice_as_long():
  distance, angle = relations(jnp.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0], [0.0, 6.0]]))
  np.testing.assert_allclose(distance[0, 3] / distance[0, 2], 2, rtol=1e-6)
  np.testing.assert_allclose([angle[0, 1, 2], angle[0, 2, 3]], [0, 1], atol=1e-6)
  assert not np.any(np.diag(distance)) and not np.any(angle[0, 0])


# --- with projectors


@pytest.mark.parametrize('layer', [1, 2, 3])
def test_fitnet_by_pytorch(layer):
  terms, variables = run('fitnet', hint_layer=layer, weight=2.0)
  guided, hint = pairs()[layer - 1]
  weight = kernel(variables['params']['regressor']['conv']['kernel'])
  x = F.batch_norm(F.conv2d(guided, weight), None, None, training=True)
  assert terms['feature'].shape == (BATCH,)
  expected = 2 * F.mse_loss(torch.relu(x), hint)
  np.testing.assert_allclose(mean(terms['feature']), expected, rtol=1e-4)


@pytest.mark.parametrize('layer', [0, 4, -1])
def test_a_hint_layer_that_is_not_there_is_refused(layer):
  with pytest.raises(UserError, match=f'hint_layer is {layer}; this pair has 1 to 3'):
    run('fitnet', hint_layer=layer)


def test_vid_by_pytorch():
  terms, variables = run('vid', weight=0.5, initial_variance=3.0)
  assert set(variables['params']) == {'stage1', 'stage2', 'stage3'}
  expected = 0.0
  for stage, (s, t) in enumerate(pairs(), start=1):
    params = variables['params'][f'stage{stage}']
    one, two, three = (kernel(params[f'conv{i}']['kernel']) for i in (1, 2, 3))
    predicted = F.conv2d(F.relu(F.conv2d(F.relu(F.conv2d(s, one)), two)), three)
    # PyTorch leaves out what does not depend on the prediction.
    expected += F.gaussian_nll_loss(predicted, t, torch.full_like(t, 3.0))
  np.testing.assert_allclose(mean(terms['likelihood']), 0.5 * expected, rtol=1e-4)


@pytest.mark.parametrize('variance', [5.0, 100.0, 1000.0])
def test_vid_begins_with_the_variance_that_is_asked_for(variance):
  regressor = vid.Gaussian(2, variance)
  variables = regressor.init(jax.random.key(0), jnp.ones((1, 2, 2, 3)))
  _, found = regressor.apply(variables, jnp.ones((1, 2, 2, 3)))
  np.testing.assert_allclose(found, variance, rtol=1e-5)


def test_pefd_by_hand():
  terms, variables = run('pefd')
  assert set(variables['params']) == {'projectors'}
  weights, bias = (np.asarray(variables['params']['projectors'][k]) for k in ('kernel', 'bias'))
  assert weights.shape == (3, 5, 10) and bias.shape == (3, 10)
  # PyTorch's initial range, and three different projectors.
  assert 0.9 * 5**-0.5 < np.abs(weights).max() <= 5**-0.5 and len(np.unique(bias)) == 30
  projected = np.zeros((BATCH, 10))
  for w, b in zip(weights, bias):
    projected += np.maximum(np.asarray(STUDENT.pooled, np.float64) @ w + b, 0) / 3
  target = np.asarray(TEACHER.pooled, np.float64)
  cosine = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(projected, target)]
  np.testing.assert_allclose(terms['direction'], 25 * (1 - np.array(cosine)), rtol=1e-4)


@pytest.mark.parametrize(
  'name, count',
  [
    ('pefd', 'num_projectors'),
    ('catkd', 'resolution'),
    ('reviewkd', 'width'),
    ('crd', 'dimension'),
    ('crd', 'num_negatives'),
  ],
)
def test_counts_are_at_least_one(name, count, dataset):
  with pytest.raises(UserError, match=f'{count} is 0; at least 1 is needed'):
    run(name, dataset=dataset, **{count: 0})


@pytest.mark.parametrize('rectified', [True, False])
def test_srrl_by_pytorch(rectified):
  teacher = TEACHER.replace(rectified=rectified)
  terms, variables = run('srrl', teacher=teacher, weight=2.0, feature_weight=3.0)
  weight = kernel(variables['params']['connector']['conv']['kernel'])
  x = F.batch_norm(tensor(STUDENT.pooled) @ weight[:, :, 0, 0].T, None, None, training=True)
  x = torch.relu(x) if rectified else x
  target, k = tensor(TEACHER.pooled), tensor(KERNEL)
  np.testing.assert_allclose(mean(terms['feature']), 3 * F.mse_loss(x, target), rtol=1e-4)
  np.testing.assert_allclose(
    mean(terms['regression']), 2 * F.mse_loss(x @ k, target @ k), rtol=1e-4
  )


# --- across stages


def dense(params, x):
  return x @ torch.tensor(np.asarray(params['kernel'], np.float64)) + torch.tensor(
    np.asarray(params['bias'], np.float64)
  )


def norm(x):
  return F.batch_norm(x, None, None, training=True)


def test_semckd_by_pytorch():
  few = features((8, 3), (8, 4), (2, 7), (2, 8), seed=3), features((8, 4), (4, 5), (2, 6), seed=4)
  terms, variables = run('semckd', *few, weight=3.0, attention_temperature=0.5)
  params = variables['params']
  ours, theirs = ([tensor(x) for x in made.stages[1:]] for made in few)

  def embedding(x, name):
    gram = x.permute(0, 2, 3, 1).flatten(1) @ x.permute(0, 2, 3, 1).flatten(1).T
    made = dense(params[name]['out'], F.relu(dense(params[name]['hidden'], gram)))
    return F.normalize(made)

  queries = torch.stack([embedding(x, f'query_{i}') for i, x in enumerate(ours, 1)], dim=1)
  keys = torch.stack([embedding(x, f'key_{j}') for j, x in enumerate(theirs, 1)], dim=1)
  assert queries.shape == (BATCH, 3, 2) and keys.shape == (BATCH, 2, 2)
  attention = torch.softmax(queries @ keys.transpose(1, 2) / 0.5, dim=2)
  expected = torch.zeros(BATCH, dtype=torch.float64)
  for i, s in enumerate(ours, 1):
    for j, t in enumerate(theirs, 1):
      size = min(s.shape[-1], t.shape[-1])
      x, t = F.adaptive_avg_pool2d(s, size), F.adaptive_avg_pool2d(t, size)
      layers = params[f'regressor_{i}_{j}']
      x = F.relu(norm(F.conv2d(x, kernel(layers['reduce']['conv']['kernel']))))
      x = F.relu(norm(F.conv2d(x, kernel(layers['transform']['conv']['kernel']), padding=1)))
      assert x.shape[1] == 2 * t.shape[1]
      x = F.conv2d(x, kernel(layers['expand']['kernel']))
      expected += attention[:, i - 1, j - 1] * ((x - t) ** 2).mean(dim=(1, 2, 3)) / 3
  np.testing.assert_allclose(terms['feature'], 3 * expected, rtol=1e-3)
  made = {name.split('_')[0] for name in params}
  assert made == {'query', 'key', 'regressor'} and len(params) == 3 + 2 + 6


def test_semckd_has_nothing_to_choose_from_a_single_stage():
  method = methods.create('semckd')(student=None, target=None, dataset=None)
  single = features((8, 4), (4, 5), pooled=10)
  _, variables = jax.eval_shape(functools.partial(begin, method, progress=1.0), STUDENT, single)
  assert variables['params'].keys() == {f'regressor_{i}_1' for i in (1, 2, 3, 4)}


def hcl(x, target):
  """Hierarchical context loss, as the paper has it, for square maps."""
  sides = [x.shape[-1]] + [side for side in (4, 2, 1) if side < x.shape[-1]]
  shares = [0.5**i for i in range(len(sides))]
  errors = [
    ((F.adaptive_avg_pool2d(x, side) - F.adaptive_avg_pool2d(target, side)) ** 2).mean()
    for side in sides
  ]
  return sum(share * error for share, error in zip(shares, errors)) / sum(shares)


def test_reviewkd_by_pytorch():
  """The student's last stage has no partner; sizes are 8, 4, 2 and 1 against 4, 4, 4 and 1."""
  terms, variables = run('reviewkd', width=4)
  params = variables['params']
  ours = [tensor(x) for x in STUDENT.stages[1:4]] + [tensor(STUDENT.pooled)[:, :, None, None]]
  theirs = [tensor(x) for x in TEACHER.preactivations[1:]]
  theirs += [tensor(TEACHER.pooled)[:, :, None, None]]
  assert params.keys() == {'level1', 'level2', 'level3', 'level4'}

  def resize(x, side):
    if x.shape[-1] > side:
      return F.adaptive_avg_pool2d(x, side)
    return F.interpolate(x, (side, side), mode='nearest')

  expected, later = 0.0, None
  for level in (4, 3, 2, 1):
    layers, x, target = params[f'level{level}'], ours[level - 1], theirs[level - 1]
    x = norm(F.conv2d(x, kernel(layers['reduce']['conv']['kernel'])))
    assert x.shape[1] == 4
    if later is not None:
      later = resize(later, x.shape[-1])
      gate = layers['gates']
      gates = F.conv2d(torch.cat([x, later], dim=1), kernel(gate['kernel']), tensor(gate['bias']))
      gates = gates.sigmoid()
      x = x * gates[:, :1] + later * gates[:, 1:]
    later = resize(x, target.shape[-1])
    made = norm(F.conv2d(later, kernel(layers['expand']['conv']['kernel']), padding=1))
    expected += hcl(made, target)
  np.testing.assert_allclose(mean(terms['review']), 5 * expected, rtol=1e-3)


def test_reviewkd_warms_up():
  full, first, half = (
    run('reviewkd', width=4, progress=progress)[0]['review'] for progress in (1.0, 1 / 240, 1 / 24)
  )
  np.testing.assert_allclose(first, full / 20, rtol=1e-5)
  np.testing.assert_allclose(half, full / 2, rtol=1e-5)


# --- what float32 must bear


def first_stages(features):
  """The features of the first two stages, and the pooled one."""
  return features.replace(stages=features.stages[:3], preactivations=features.preactivations[:3])


def everywhere(value):
  """A student whose features are all alike."""
  return jax.tree.map(lambda x: np.full_like(x, value), STUDENT)


LARGE = jax.tree.map(lambda x: np.float32(1e4) * np.asarray(x), STUDENT)
SMALL = jax.tree.map(lambda x: np.float32(1e-10) * np.asarray(x), STUDENT)
ALL = (
  'fitnet', 'at', 'sp', 'pkt', 'rkd', 'vid', 'pefd', 'srrl', 'crd', 'semckd', 'reviewkd',
  'srd', 'vkd', 'thkd', 'catkd',
)  # fmt: skip


@pytest.mark.parametrize('name', ALL)
def test_gradients_are_finite(name, dataset, fill):
  """With features that vanish, do not differ or are far from the teacher's, if it has any."""
  method = methods.create(name)(student=Linear(3), target=None, dataset=dataset)
  started = functools.partial(begin, method, progress=jnp.float32(0))
  variables = fill(jax.eval_shape(started, *map(first_stages, (STUDENT, TEACHER)))[1])
  if 'memory' in variables:
    memory = jax.jit(lambda *given: started(*given)[1]['memory'])
    variables['memory'] = memory(*map(first_stages, (STUDENT, TEACHER)))

  @jax.jit
  @jax.value_and_grad
  def total(student, teacher):
    terms, _ = method.apply(
      variables,
      student,
      view(teacher),
      batch(),
      jnp.float32(0),
      method='terms',
      mutable=True,
      rngs={'method': jax.random.key(1)},
    )
    return sum(jnp.mean(term) for term in terms.values())

  for student in (STUDENT, everywhere(0.0), everywhere(1.0), LARGE, SMALL):
    for teacher in (TEACHER, jax.tree.map(np.zeros_like, TEACHER)):
      value, gradient = total(first_stages(student), first_stages(teacher))
      assert np.isfinite(value)
      assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
