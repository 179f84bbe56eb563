"""Lists what a pair deploys and takes to train, for each number and width of projectors.

    python scripts/plan.py --teacher resnet32x4 --student resnet8x4

Nothing is trained: all is told by shapes. A projector onto C_t channels from C_s has

    C_s*m + 9*m^2 + m*C_t + 4*m + 2*C_t    parameters, m = C_t // f

and a student deploys its encoder, q of them and the teacher's classifier.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from pidkd_jax import models
from pidkd_jax.nn import projector_size
from pidkd_jax.core.errors import UserError
from pidkd_jax.evaluation.cost import cost, parameters
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training import memory
from pidkd_jax.training.cohort import Cohort, Member
from pidkd_jax.training.memory import MIB
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Batch, DatasetSpec, Network

_TEACHER = flags.DEFINE_string('teacher', 'resnet32x4', 'Network, or package.module:Class.')
_STUDENT = flags.DEFINE_string('student', 'resnet8x4', 'Network, or package.module:Class.')
_IMAGE_SIZE = flags.DEFINE_integer('image_size', 32, 'Side of the images.', lower_bound=8)
_NUM_CLASSES = flags.DEFINE_integer('num_classes', 100, 'Of both networks.', lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Of a training step.', lower_bound=1)
_NUM_PROJECTORS = flags.DEFINE_list('num_projectors', '1,2,3,4,6', 'q, by commas.')
_FACTORS = flags.DEFINE_list('factors', '1,2,4,8', 'f, by commas.')


def main():
  with models.explain_errors(_TEACHER.value, _STUDENT.value):
    _print()


def _print():
  size, classes = _IMAGE_SIZE.value, _NUM_CLASSES.value
  image = jax.ShapeDtypeStruct((_BATCH_SIZE.value, size, size, 3), jnp.float32)
  whole = jax.ShapeDtypeStruct((_BATCH_SIZE.value,), jnp.int32)
  batch = Batch(image, whole, whole)
  model = models.create(_TEACHER.value, num_classes=classes)
  teacher = Network(jax.eval_shape(model.init, jax.random.key(0), image), model)
  stacks = {
    f'q = {q}, f = {f}': {'num_projectors': q, 'factor': f}
    for f in _counts(_FACTORS)
    for q in _counts(_NUM_PROJECTORS)
  }
  members = [
    _member(f'teacher {_TEACHER.value}', _TEACHER.value, 'scratch'),
    _member(f'student {_STUDENT.value} alone', _STUDENT.value, 'scratch'),
    *(_member(label, _STUDENT.value, 'pidkd', **stack) for label, stack in stacks.items()),
  ]
  cohort = cohorts.assemble(
    members,
    teacher=teacher,
    dataset=_dataset(image.shape[1:], classes),
    image=image,
    optimizer=Optimizer(total_steps=1, boundaries=(), drop_factor=1.0, momentum=0.9),
    key=jax.random.key(0),
  )
  states = jax.eval_shape(Cohort.init, cohort, batch)
  networks = {member.name: cohort.deployed(member.name, states[member.name]) for member in members}
  _, student, *_ = networks.values()
  c_s, c_t = (
    jax.eval_shape(Network.encode, student, image).stages[-1].shape[-1],
    jax.eval_shape(Network.encode, teacher, image).target.shape[-1],
  )
  estimate = memory.estimate(cohort, batch)
  budget = cost(teacher, image.shape[1:])

  print(
    f'{_TEACHER.value} -> {_STUDENT.value} at {size}x{size}, {classes} classes, batch '
    f'{_BATCH_SIZE.value}, float32; projectors from {c_s} onto {c_t} channels.\n'
  )
  print(
    '| | projectors | deployed parameters | of the teacher | multiply-adds | weights (MiB) '
    '| training (MiB) | one projector as large |'
  )
  print('|--|--|--|--|--|--|--|--|')
  for name, network in networks.items():
    found = cost(network, image.shape[1:])
    need = estimate.needs[name]
    share = found.parameters / budget.parameters
    projectors = hidden = mark = ''
    if 'projectors' in network.variables['params']:
      count = parameters(network.variables['params']['projectors'])
      projectors, hidden = f'{count:,}', f'm = {projector_size.hidden_width(count, c_s, c_t)}'
      mark = ' (no smaller)' if share >= 1 else ''
    print(
      f'| {name} | {projectors} | {found.parameters:,} | {share:.1%}{mark} '
      f'| {found.multiply_adds:,} | {4 * found.parameters / MIB:.2f} '
      f'| {(need.state + need.activation) / MIB:,.0f} | {hidden} |'
    )
  print(
    '\nTraining: what one member takes, by the estimate in pidkd_jax/training/memory.py; once for'
  )
  print(f'all members come {estimate.shared / MIB:,.0f} MiB for the teacher and what it sees of a')
  print('batch, and the training images. One projector as large: the hidden width m at which a')
  print('single projector has as many parameters as the q of its row.')


def _counts(flag):
  try:
    return [int(one) for one in flag.value]
  except ValueError as error:
    raise UserError(
      f'--{flag.name}={",".join(flag.value)} is no list of numbers; write --{flag.name}=1,2,4'
    ) from error


def _member(label, network, method, **hyperparameters):
  # Trial -1: the name is the label alone.
  return Member(label, network, method, hyperparameters, OptimizerHparams(), -1)


def _dataset(image_shape, classes):
  """Of the shape alone, without an image."""
  return DatasetSpec(
    name='shapes',
    format='',
    archive='',
    source='',
    fingerprint='',
    class_names=tuple(map(str, range(classes))),
    labels=np.zeros(0, np.int32),
    image_shape=image_shape,
    normalisation=Normalisation((0.5,) * 3, (0.25,) * 3),
    padding=0,
    flip=False,
  )


if __name__ == '__main__':
  app.run(main)
