"""This package's side of a comparison."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import pair
from benchmarks.pytorch import train as pytorch_data
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Batch
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.models import norm_fusion
from pidkd_jax.training import calls, lanes
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.learner import State
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer


class Ours:
  """A cohort that begins with PyTorch's weights; call it in the setting's scope of precision.

  Args:
    steps_per_call: the most steps in a compiled call; 0 for what `pidkd train` chooses.
    trials: equal members of the cohort.
    side_by_side: whether they take the steps of a call in one program.
    look_ahead: the most batches of a pass of the teacher; 0 for what `pidkd train` chooses.
  """

  def __init__(
    self,
    setting: pair.Setting,
    start: pair.Start,
    data: Dataset,
    steps_per_call: int = 0,
    trials: int = 1,
    side_by_side: bool = False,
    look_ahead: int = 0,
  ):
    shape = (setting.batch_size, *data.spec.image_shape)
    self._side_by_side = side_by_side
    self._setting, self._dtype = setting, setting.formats.dtype
    teacher, initial = pair.convert(start, setting, shape[1:])
    normalisation = Normalisation(
      *(tuple(map(float, x.flatten())) for x in (pytorch_data.MEAN, pytorch_data.STD))
    )
    hyperparameters = {'num_projectors': setting.num_projectors, 'factor': setting.factor}
    method = 'pidkd_published'
    self.cohort: Cohort = cohorts.assemble(
      [
        Member(f'{method}-{trial}', setting.student, method, hyperparameters, pair.HPARAMS, trial)
        for trial in range(trials)
      ],
      teacher=norm_fusion.fuse_norms(teacher, shape[1:]),
      dataset=data.spec,
      image=jax.ShapeDtypeStruct(shape, self._dtype),
      optimizer=Optimizer(
        total_steps=10**6, boundaries=(), drop_factor=0.1, momentum=pair.MOMENTUM
      ),
      key=jax.random.key(0),
    )
    self._stream = data.train.batches(
      normalisation,
      jax.random.key(1),
      batch_size=setting.batch_size,
      padding=pytorch_data.PADDING,
      flip=True,
      dtype=self._dtype,
    )
    self.batch: Batch = self._stream.batch(self._stream.order(0), 0)
    # As in an epoch of a round's steps. Steps to spare cost their time there, too.
    self.calls = calls.plan(steps_per_call, look_ahead, setting.steps, self.cohort, self.batch)
    self._lanes = lanes.Lanes(lanes.number())
    self._step = itertools.count()
    self.states: dict[str, State] = {
      name: state.replace(
        params=pair.put(initial.variables['params'], state.params),
        collections=pair.put(initial.variables, state.collections),
      )
      for name, state in self.cohort.init(self.batch).items()
    }

  def losses(self, images: np.ndarray) -> list[float]:
    """Take a step on each batch of `pair.batches`; return the loss before each."""
    mean, std = (x.numpy().reshape(-1) for x in (pytorch_data.MEAN, pytorch_data.STD))
    losses = []
    for batch in pair.batches(self._setting, images):
      image = ((batch / np.float32(255) - mean) / std).astype(np.float32)
      nothing = jnp.zeros(len(image), jnp.int32)  # The loss reads no labels.
      before = self._loss()
      self._advance(Batch(jnp.asarray(image, self._dtype), nothing, nothing))
      losses.append(self._loss() - before)
    return losses

  def _loss(self) -> float:
    return float(next(iter(self.states.values())).loss_sums['loss'])

  def _advance(self, batch: Batch) -> None:
    step = jnp.int32(next(self._step))
    self.states = self._lanes.step(self.cohort, self.states, batch, step)

  def train(self) -> None:
    """Train a round on random crops and flips, and wait for its end."""
    order = self._stream.order(jnp.int32(0))
    count = self.calls.steps
    if count == 1:
      for step in range(self._setting.steps):
        self._advance(self._stream.batch(order, jnp.int32(step)))
    else:  # On accelerators `pidkd train` takes many steps in one call.
      for first in range(0, self._setting.steps, count):
        self.states = cohorts.scan(
          self.cohort,
          self.states,
          self._stream,
          order,
          jnp.int32(first),
          count,
          self.calls.look_ahead,
          self._side_by_side,
        )
    jax.block_until_ready(self.states)
