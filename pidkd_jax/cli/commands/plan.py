"""Print what a pair deploys and takes to train.

    pidkd plan --teacher resnet32x4 --student resnet8x4

Nothing is trained: shapes say it all. A projector onto C_t channels from C_s
has, with m = C_t // f,

    C_s*m + 9*m^2 + m*C_t + 4*m + 2*C_t    parameters

and a student deploys its encoder, q of them and the teacher's classifier.
"""

import jax
import jax.numpy as jnp
from absl import flags

from pidkd_jax.core import own_code, screen
from pidkd_jax.core.errors import UserError
from pidkd_jax.data import noise
from pidkd_jax.data.pipeline import schedule
from pidkd_jax.evaluation.cost import cost, parameters
from pidkd_jax.experiment.teacher import untrained
from pidkd_jax.models.network import Network
from pidkd_jax.nn import projector_size
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training import memory
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.free_memory import MIB
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams

FLAGS = flags.FLAGS

# A heading wraps where it has a space.
_HEADINGS = (
  '',
  'projectors',
  'deployed parameters',
  'of the teacher',
  'multiply- adds (M)',
  'training (MiB)',
  'width of one',
)


def define_flags():
  flags.DEFINE_string('teacher', 'resnet32x4', 'Network, or package.module:Class.')
  flags.DEFINE_string('student', 'resnet8x4', 'Network, or package.module:Class.')
  flags.DEFINE_integer('image_size', 32, 'Side of the square images.', lower_bound=8)
  flags.DEFINE_integer('num_classes', 100, 'Number of classes.', lower_bound=1)
  flags.DEFINE_integer('batch_size', 64, 'Images in a training step.', lower_bound=1)
  flags.DEFINE_list('num_projectors', '1,2,3,4,6', 'Values of q, by commas.')
  flags.DEFINE_list('factors', '1,2,4,8', 'Values of f, by commas.')


def main():
  with own_code.explain_errors(FLAGS.teacher, FLAGS.student):
    _print()


def _print():
  size, classes = FLAGS.image_size, FLAGS.num_classes
  batch = schedule.batch_shapes(FLAGS.batch_size, (size, size, 3), jnp.dtype(jnp.float32))
  image, spec = batch.image, noise.dataset(1, size, classes).spec
  teacher = untrained(FLAGS.teacher, spec)
  stacks = {
    f'q = {q}, f = {f}': {'num_projectors': q, 'factor': f}
    for f in _counts('factors')
    for q in _counts('num_projectors')
  }
  members = [
    _member(f'teacher {FLAGS.teacher}', FLAGS.teacher, 'scratch'),
    _member(f'{FLAGS.student} alone', FLAGS.student, 'scratch'),
    *(_member(label, FLAGS.student, 'pidkd', **stack) for label, stack in stacks.items()),
  ]
  cohort = cohorts.assemble(
    members,
    teacher=teacher,
    dataset=spec,
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
  budget = cost(teacher, spec.image_shape)

  rows = []
  for name, network in networks.items():
    found = cost(network, spec.image_shape)
    need = estimate.members[name]
    projectors = width = ''
    if 'projectors' in network.variables['params']:
      count = parameters(network.variables['params']['projectors'])
      projectors, width = f'{count:,}', str(projector_size.hidden_width(count, c_s, c_t))
    rows.append(
      [
        name,
        projectors,
        f'{found.parameters:,}',
        f'{found.parameters / budget.parameters:.1%}',
        f'{found.multiply_adds / 1e6:,.1f}',
        f'{(need.state + need.activation) / MIB:,.0f}',
        width,
      ]
    )
  title = (
    f'{FLAGS.teacher} -> {FLAGS.student} at {size}x{size}, {classes} classes, batch '
    f'{FLAGS.batch_size}, float32; projectors from {c_s} onto {c_t} channels.'
  )
  notes = (
    'Training: memory of one member, by the estimate in pidkd_jax/training/memory.py. Once for all '
    f'members come {estimate.shared / MIB:,.0f} MiB for the teacher and what it sees of a batch, '
    'and the training images.',
    'Width of one: the hidden width m at which a single projector has as many parameters as the q '
    'of its row.',
  )
  print(screen.Summary(title, screen.Table(_HEADINGS, rows), notes))


def _counts(flag):
  values = getattr(FLAGS, flag)
  try:
    return [int(value) for value in values]
  except ValueError as error:
    raise UserError(
      f'--{flag}={",".join(values)} is no list of numbers; write --{flag}=1,2,4'
    ) from error


def _member(label, network, method, **hyperparameters):
  # Trial -1: the name is the label alone.
  return Member(label, network, method, hyperparameters, OptimizerHparams(), -1)
