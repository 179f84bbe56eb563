"""Compare the speed of our training step with PyTorch's, on the same work.

python -m benchmarks.peer --teacher resnet32x4 --student resnet8x4 --num_projectors 3

Both sides begin with the same weights. Nothing is timed unless the losses of their first steps
agree, on equal batches without augmentation (in float32 to 1e-3). Then they train in turn, a round
of --steps steps each, on random crops and flips. Both run in one process, with the same threads and
the same tuned allocator, on the GPU where both see one.

`benchmarks.theirs` describes PyTorch's forms. In bfloat16 PyTorch runs under autocast. The last
line states our speed against the best of the forms, and beside it against research code.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import os
import statistics

import jax
import torch
from absl import flags

from benchmarks import comparison, pair, theirs
from benchmarks.ours import Ours
from benchmarks.theirs import FORMS, Theirs
from pidkd_jax.core.errors import UserError
from pidkd_jax.nn.precision import PRECISIONS
from pidkd_jax.experiment import workdir

_TEACHER = flags.DEFINE_string('teacher', pair.Setting.teacher, "The teacher's network.")
_STUDENT = flags.DEFINE_string('student', pair.Setting.student, "The student's network.")
_NUM_PROJECTORS = flags.DEFINE_integer(
  'num_projectors', pair.Setting.num_projectors, 'Number of projectors, q.', lower_bound=1
)
_FACTOR = flags.DEFINE_integer(
  'factor', pair.Setting.factor, "Factor of the projectors' hidden width, f.", lower_bound=1
)
_BATCH_SIZE = flags.DEFINE_integer(
  'batch_size', pair.Setting.batch_size, 'Images in a batch.', lower_bound=1
)
_FORMS = flags.DEFINE_list(
  'forms', [], f'Forms of PyTorch, of {", ".join(FORMS)}; by default the fastest ones known.'
)
_PRECISION = flags.DEFINE_enum('precision', 'float32', [*PRECISIONS], 'Precision of both sides.')
_STEPS = flags.DEFINE_integer('steps', pair.Setting.steps, 'Steps in a round.', lower_bound=1)
_ROUNDS = flags.DEFINE_integer(
  'rounds', 7, 'Timed rounds, after one that is not timed.', lower_bound=1
)

# The best forms known, and research code.
DEFAULT_FORMS = {'cpu': ('channels_last',), 'gpu': ('compiled_graph', 'graph', 'plain')}


def main():
  for form in _FORMS.value:
    if form not in FORMS:
      raise UserError(f'unknown form {form!r}; there are {", ".join(FORMS)}')
  require_same_device()
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  theirs.prepare(_PRECISION.value)
  setting = pair.Setting(
    teacher=_TEACHER.value,
    student=_STUDENT.value,
    num_projectors=_NUM_PROJECTORS.value,
    factor=_FACTOR.value,
    batch_size=_BATCH_SIZE.value,
    precision=_PRECISION.value,
    steps=_STEPS.value,
  )
  print(', '.join(f'{key} {value}' for key, value in workdir.environment().items()))
  print(f'torch {torch.__version__}, {torch.get_num_threads()} threads')
  print(f'{setting}\n')
  forms = _FORMS.value or DEFAULT_FORMS.get(jax.default_backend(), DEFAULT_FORMS['cpu'])
  if any(FORMS[form].whole for form in forms) and not torch.cuda.is_available():
    print('no GPU: forms of the whole step are called step by step, without a CUDA graph')
  ratios = {form: _compare(setting, form) for form in forms}
  print(comparison.verdict(ratios))


def require_same_device() -> None:
  """Raise UserError if one side runs on a GPU and the other does not."""
  on_gpu = jax.default_backend() == 'gpu'
  if on_gpu != torch.cuda.is_available():
    raise UserError(
      f'JAX runs on {jax.default_backend()} and PyTorch sees {"no" if on_gpu else "a"} GPU; '
      'install both with CUDA, or set JAX_PLATFORMS=cpu and CUDA_VISIBLE_DEVICES= for neither'
    )


def _compare(setting: pair.Setting, form: str) -> float:
  """Print a form's times beside ours; return our speed over its speed."""
  data, start = setting.data(), pair.begin(setting)
  with setting.formats.scope():
    ours = Ours(setting, start, data)
    peer = Theirs(setting, start, data, FORMS[form])
    images = data.train.images
    apart = comparison.difference(ours.losses(images), peer.losses(images))
    print(f'losses of {pair.AGREEING_STEPS} steps on equal batches are {apart:.1e} apart')
    comparison.require_equal(apart, setting.precision)
    result = comparison.compare(ours.train, peer.train, setting.steps, _ROUNDS.value)
  images = setting.steps * setting.batch_size
  print('\n| training step | images/s | slowest - fastest round | ms |')
  print('|--|--|--|--|')
  for title, seconds in {'ours': result.ours, f'PyTorch, {form}': result.theirs}.items():
    speeds = sorted(images / s for s in seconds)
    milliseconds = 1000 * statistics.median(seconds) / setting.steps
    print(
      f'| {title} | {statistics.median(speeds):,.0f} | {speeds[0]:,.0f} - {speeds[-1]:,.0f} '
      f'| {milliseconds:.{0 if milliseconds >= 100 else 3}f} |'
    )
  print(
    f'ours at {result.ratio:.2f} times the speed of PyTorch, {form} '
    f'({result.ratios[0]:.2f} - {result.ratios[-1]:.2f} over {_ROUNDS.value} rounds)\n'
  )
  return result.ratio


if __name__ == '__main__':
  app.run(main)
