"""SimKD's own training loop, whose numbers lie among the reference figures."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.bundles import torch_import
from pidkd_jax.bundles.torch_import import Checkpoint
from pidkd_jax.core.types import Batch
from pidkd_jax.nn import convolution
from pidkd_jax.nn.convolution import choice
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams
from tests.training.test_parity import begin, cast

# Of the twenty that were recorded; momentum first tells in the third.
STEPS = 3
# The authors' settings, in float64.
HPARAMS = {'learning_rate': 0.05, 'weight_decay': 5e-4, 'weight': 1.0}


def test_the_steps_have_simkds_losses(reference, dataset, monkeypatch):
  # XLA on CPU computes convolutions of float64 by plain loops, which take a minute here.
  monkeypatch.setattr(choice, '_fastest', convolution.by_dot)
  with np.load(reference / 'peers' / 'simkd20.npz') as file:
    arrays = {name: file[name] for name in file.files}

  def part(name):
    return {
      key.removeprefix(f'{name}/'): value
      for key, value in arrays.items()
      if key.startswith(f'{name}/')
    }

  teacher = torch_import.network(part('teacher'), 'resnet14')
  initial = torch_import.distilled(
    Checkpoint(part('student'), part('proj')), 'resnet8', teacher, (32, 32, 3)
  )
  images = arrays['images'][:STEPS].transpose(0, 1, 3, 4, 2)
  steps, batch_size = images.shape[:2]
  with jax.enable_x64(True):
    cohort = cohorts.assemble(
      [Member('simkd', 'resnet8', 'simkd_published', {}, OptimizerHparams(), 0)],
      teacher=cast(teacher, jnp.float64),
      dataset=dataclasses.replace(dataset, class_names=tuple(map(str, range(100)))),
      image=jax.ShapeDtypeStruct(images.shape[1:], jnp.float64),
      optimizer=Optimizer(len(arrays['images']), (), drop_factor=0.1, momentum=0.9),
      key=jax.random.key(0),
    )
    [learner] = cohort.learners
    hparams = cast(learner.hparams, jnp.float64) | {
      name: jnp.float64(value) for name, value in HPARAMS.items()
    }
    cohort = cohort.replace(learners=(learner.replace(hparams=hparams),))
    nothing = jnp.zeros(batch_size, jnp.int32)  # SimKD reads no labels.
    batches = [Batch(jnp.asarray(image, jnp.float64), nothing, nothing) for image in images]
    state = cast(begin(cohort, initial, batches[0]), jnp.float64)
    losses = []
    for step, batch in enumerate(batches):
      state = state.replace(loss_sums=jax.tree.map(jnp.zeros_like, state.loss_sums))
      state = cohort.step({'simkd-0': state}, batch, jnp.int32(step))['simkd-0']
      losses.append(float(state.loss_sums['loss']))
  worst = np.max(np.abs(np.divide(losses, arrays['loss_float64'][:STEPS]) - 1))
  print(f'SimKD, {steps} steps: losses within {worst:.1e}')
  assert worst < 1e-8
