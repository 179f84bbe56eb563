"""Toy data, a toy teacher, and cheap compilation."""

import logging
import os
import pathlib
import signal

# Tracing and compilation take most of the tests' time. Optimising toys gains nothing; XLA's older
# emitters, and a program that is not split for compilation in parallel, are cheaper; and nobody
# reads in a toy's program which line of Python an operation comes from.
for _name, _value in {
  'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
  'JAX_INCLUDE_FULL_TRACEBACKS_IN_LOCATIONS': '0',
  'JAX_TRACEBACK_IN_LOCATIONS_LIMIT': '0',
  'XLA_FLAGS': '--xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters '
  '--xla_cpu_parallel_codegen_split_count=1',
}.items():
  os.environ.setdefault(_name, _value)

# A shell that starts the tests in the background has them ignore signals, and tests send some.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

from pidkd_jax.core import runtime

runtime.tune_garbage_collector()

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.models.resnet import ResNet
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.core.types import Batch, DatasetSpec
from pidkd_jax.models.network import Network
from tests.forks import Forks

REFERENCE = pathlib.Path(__file__).resolve().parents[2] / 'shared' / 'reference'
IMAGE = (8, 8, 3)
# Files of ten seconds or more, the longest first.
LONG = (
  'test_models.py',
  'test_torch_import.py',
  'test_mistakes.py',
  'test_notebooks.py',
  'test_methods.py',
  'test_timm_convolutional.py',
  'test_devices.py',
  'test_scripts.py',
  'test_import_torch.py',
  'test_job.py',
  'test_studies.py',
  'test_students.py',
  'test_custom_model.py',
  'test_norm_fusion.py',
  'test_study_report.py',
  'test_recipe.py',
  'test_distillation.py',
  'test_features.py',
  'test_version_0_1_0.py',
  'test_rivals.py',
  'test_parity.py',
  'test_vit.py',
  'test_convnext.py',
  'test_gpu.py',
  'test_site.py',
)


def pytest_collection_modifyitems(items):
  """Put the long files first: one that began last would leave a core without work."""
  order = {name: place for place, name in enumerate(LONG)}
  items.sort(key=lambda item: order.get(item.path.name, len(LONG)))


@pytest.fixture(scope='module', autouse=True)
def _handlers():
  """Make sure that a module leaves no handlers of logs or signals to the next one."""
  before = logging.getLogger().handlers[:], signal.getsignal(signal.SIGTERM)
  yield
  assert (logging.getLogger().handlers, signal.getsignal(signal.SIGTERM)) == before


@pytest.fixture(scope='module', autouse=True)
def _programs():
  """Release a module's compiled programs.

  Each program holds memory maps. Linux allows a process 65,530 of them, and a compilation beyond
  ends in a segmentation fault.
  """
  yield
  jax.clear_caches()


@pytest.fixture(scope='session')
def environment(pytestconfig):
  """Return an environment in which processes share compiled programs."""
  return os.environ | {'XDG_CACHE_HOME': str(pytestconfig.cache.mkdir('xdg'))}


@pytest.fixture(scope='session')
def forks():
  """Return the process that forks for commands."""
  with Forks() as forks:
    yield forks


@pytest.fixture(scope='session')
def reference():
  """Return the folder of reference figures, which may lie beside the checkout."""
  if not REFERENCE.is_dir():
    pytest.skip(f'needs the reference figures in {REFERENCE}')
  return REFERENCE


@pytest.fixture(scope='session')
def fill():
  """Return a function that turns a tree of variables' shapes into random numbers."""

  def fill(shapes, seed=0):
    rng = np.random.default_rng(seed)
    flat = {}
    for path, leaf in traverse_util.flatten_dict(shapes).items():
      if path[-1] in ('var', 'scale'):
        value = rng.uniform(0.5, 1.5, leaf.shape)
      elif path[-1] == 'kernel':
        value = rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[-4:-1]))
      else:
        value = rng.normal(size=leaf.shape) / 10
      flat[path] = value.astype(leaf.dtype)
    # As one transfer, which compiles nothing: JAX's conversion is a program for each shape.
    return jax.device_put(traverse_util.unflatten_dict(flat))

  return fill


@pytest.fixture(scope='session')
def dataset():
  """Return the description of twelve images of three classes, 8x8."""
  return DatasetSpec(
    name='toy',
    format='toy',
    archive='',
    source='made up',
    class_names=('a', 'b', 'c'),
    labels=np.arange(12, dtype=np.int32) % 3,
    image_shape=IMAGE,
    normalisation=Normalisation((0.5, 0.4, 0.3), (0.3, 0.2, 0.1)),
    padding=1,
    flip=True,
    fingerprint='0' * 64,
  )


@pytest.fixture(scope='session')
def batches(dataset):
  """Return four different training batches of four."""
  rng = np.random.default_rng(0)
  batches = []
  for _ in range(4):
    index = rng.choice(dataset.num_examples, 4, replace=False).astype(np.int32)
    image = rng.normal(size=(4, *IMAGE)).astype(np.float32)
    batches.append(Batch(image, dataset.labels[index], index))
  return jax.device_put(batches)


@pytest.fixture(scope='session')
def teacher(fill):
  """Return a small network with random variables, statistics included."""
  model = ResNet(num_classes=3, depth=8, widths=(4, 4, 8, 12))
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *IMAGE)))
  return Network(fill(shapes), model)


@pytest.fixture(scope='session')
def assemble(dataset, teacher):
  """Return a function that makes a cohort of members under the toy teacher."""

  def assemble(*members, seed=0, optimizer=Optimizer(3, (6, 9), 0.1, 0.9)):
    return cohorts.assemble(
      members,
      teacher=teacher,
      dataset=dataset,
      image=jax.ShapeDtypeStruct((4, *IMAGE), jnp.float32),
      optimizer=optimizer,
      key=jax.random.key(seed),
    )

  return assemble


@pytest.fixture(scope='session')
def train(batches):
  """Return a function that trains a cohort over some steps, from its initial or given states."""

  def train(cohort, steps, states=None):
    states = cohort.init(batches[0]) if states is None else jax.tree.map(jnp.array, states)
    for step in steps:
      states = cohort.step(states, batches[step % len(batches)], jnp.int32(step))
    return states

  return train
