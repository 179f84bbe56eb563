"""The training that parts measure, in both sizes. It imports JAX and PyTorch."""

import torch

from benchmarks import comparison, pair, theirs
from benchmarks.ours import Ours
from benchmarks.theirs import FORMS, Theirs

ROUNDS = 5
# bfloat16 first: the bars are stated in it.
PRECISIONS = ('bfloat16', 'tf32', 'float32')


def setting(short: bool, precision: str) -> pair.Setting:
  """Return the pair of the paper's main row, or a toy."""
  if short:
    return pair.Setting('resnet8', 'resnet8', 1, 8, batch_size=4, precision=precision, steps=2)
  return pair.Setting(precision=precision, steps=100)


class Training:
  """Our side in one precision, with the losses of its first steps."""

  def __init__(
    self,
    short: bool,
    precision: str,
    steps_per_call: int = 0,
    trials: int = 1,
    side_by_side: bool = False,
    look_ahead: int = 0,
  ):
    self.short, self.setting = short, setting(short, precision)
    self.data = self.setting.data()
    with self.setting.formats.scope():
      self._ours = Ours(
        self.setting,
        pair.begin(self.setting),
        self.data,
        steps_per_call,
        trials,
        side_by_side,
        look_ahead,
      )
    self.cohort, self.batch, self.calls = self._ours.cohort, self._ours.batch, self._ours.calls
    self.rounds = 1 if short else ROUNDS

  @property
  def states(self):
    """Return the members' states, {name: state}."""
    return self._ours.states

  def losses(self) -> list[float]:
    """Take the first steps, on equal batches; return the loss before each."""
    with self.setting.formats.scope():
      return self._ours.losses(self.data.train.images)

  def train(self) -> None:
    """Train a round."""
    with self.setting.formats.scope():
      self._ours.train()

  def peer(self, form: str) -> Theirs:
    """Return PyTorch's side in a form, which begins with the same weights."""
    theirs.prepare(self.setting.precision)
    if self.short:  # Threads that wait for work would slow all others.
      torch.set_num_threads(1)
    return Theirs(self.setting, pair.begin(self.setting), self.data, FORMS[form])

  def milliseconds(self) -> float:
    """Return the median milliseconds of a step."""
    self.train()
    seconds = sorted(comparison.duration(self.train) for _ in range(self.rounds))
    return 1000 * seconds[len(seconds) // 2] / self.setting.steps
