"""A trained network as its run folder describes it."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pidkd_jax.core import npz
from pidkd_jax.core.card import optimizer_hparams
from pidkd_jax.core.errors import UserError
from pidkd_jax.report import entries
from pidkd_jax.report.card import Card

# A run describes its teacher, and its teacher's own teacher, in NAME.json and outputs/NAME.npz.
_TEACHERS = ('teacher', 'origin')


@dataclasses.dataclass(frozen=True, eq=False)
class Outputs:
  """A network's outputs on the test images.

  Attributes:
    label: int [N], the true classes.
    predicted: int [N], the predicted classes.
    confidence: float [N], the softmax probabilities of the predictions.
    pooled: float [M, C], the classifier's inputs for the first M <= N images.
    probabilities: float [E, K], those of the run's examples; None where an older run kept none.
  """

  label: np.ndarray
  predicted: np.ndarray
  confidence: np.ndarray
  pooled: np.ndarray
  probabilities: np.ndarray | None = None

  @property
  def correct(self) -> np.ndarray:
    """bool [N], whether each prediction is right."""
    return self.label == self.predicted


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
  """One trained member of a run, or a teacher.

  Attributes:
    folder: the run's folder.
    name: the name of its bundle and of its outputs.
    card: the card of its bundle.
  """

  folder: pathlib.Path
  name: str
  card: Card

  @property
  def label(self) -> str:
    """The name of its setting in tables and figures; trials of one setting share it."""
    return self.card['label']

  @property
  def is_teacher(self) -> bool:
    """Whether this is a teacher rather than a member of the run."""
    return self.name in _TEACHERS

  @property
  def number(self) -> int:
    """The trial's number within its label."""
    return self.card['training']['member']['trial']

  @property
  def settings(self) -> dict[str, Any]:
    """All that the trials of one label have in common."""
    member = self.card['training']['member']
    return {
      **{key: member[key] for key in member if key not in ('trial', 'optimizer', 'numbers')},
      'optimizer': optimizer_hparams(member) or {},
      'start': self.initial_bundle,
    }

  @property
  def initial_bundle(self) -> str | None:
    """Digest of the bundle whose student it started from; None for drawn initial weights."""
    return (self.card['training'].get('start') or {}).get('digest')

  @property
  def network(self) -> str:
    """The architecture; an imported bundle may know only its family."""
    student = self.value('training', 'member', 'student')
    return self.card.get('network') or student or self.card['model']['family']

  @property
  def projector_size(self) -> tuple[int, int] | None:
    """(q, f): number of projectors and size factor; None for a network without projectors."""
    fields = {**self.card['model'], **self.settings['hyperparameters']}
    size: Any = (fields.get('num_projectors'), fields.get('factor'))
    # A class of the user's own may mean something else by these names.
    return size if all(map(entries.SIZE.accepts, size)) else None

  def value(self, *path: str) -> Any:
    """Return the card's entry under these keys, or None if there is none.

    Example:
      >>> Trial(pathlib.Path(), 'kd-0', {'results': {'top1': 0.5}}).value('results', 'top1')
      0.5
    """
    entry = self.card
    for key in path:
      entry = entry.get(key) if isinstance(entry, Mapping) else None
    return entry

  @functools.cached_property
  def outputs(self) -> Outputs | None:
    """The outputs on the test images, or None if the run did not keep them.

    Raises:
      UserError: The file is damaged.
    """
    path = self.folder / 'outputs' / f'{self.name}.npz'
    if not path.exists():
      return None
    try:
      arrays = npz.read(path)
      outputs = Outputs(
        label=arrays['label'],
        predicted=arrays['predicted'],
        confidence=arrays['confidence'],
        pooled=arrays['pooled'],
        probabilities=arrays.get('probabilities'),
      )
      _check(outputs, self.value('dataset', 'class_names'))
    except (ValueError, KeyError) as error:
      raise UserError(f'{str(path)!r} is damaged: {error}; remove it, or copy it again') from error
    # Unsigned integers would wrap around in differences.
    return dataclasses.replace(
      outputs, label=outputs.label.astype(int), predicted=outputs.predicted.astype(int)
    )

  def require_outputs(self) -> Outputs:
    """Return the outputs of a trial that kept them.

    Raises:
      ValueError: The run did not keep them.
    """
    if self.outputs is None:
      raise ValueError(f'the run in {str(self.folder)!r} kept no outputs of {self.name}')
    return self.outputs


def _check(outputs: Outputs, class_names: Sequence[str] | None) -> None:
  """Raise ValueError unless shapes, types and ranges are those of a network's outputs."""
  label, predicted = outputs.label, outputs.predicted
  for name, classes in (('label', label), ('predicted', predicted)):
    if classes.ndim != 1 or not np.issubdtype(classes.dtype, np.integer) or not classes.size:
      raise ValueError(f'{name} holds no row of whole numbers')
    if classes.min() < 0 or (class_names and classes.max() >= len(class_names)):
      raise ValueError(f'{name} holds a class that the card does not have')
  for name, values in (('confidence', outputs.confidence), ('pooled', outputs.pooled)):
    if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
      raise ValueError(f'{name} holds values that are no finite numbers')
  if not label.shape == predicted.shape == outputs.confidence.shape:
    raise ValueError('label, predicted and confidence are of different lengths')
  if outputs.pooled.ndim != 2 or len(outputs.pooled) > len(label):
    raise ValueError('pooled is no table with a row for each image')
  probabilities = outputs.probabilities
  if probabilities is not None:
    if probabilities.ndim != 2 or not np.issubdtype(probabilities.dtype, np.floating):
      raise ValueError('probabilities is no table with a row for each example')
    if class_names and probabilities.shape[1] != len(class_names):
      raise ValueError('probabilities are of another number of classes than the card has')
    if not ((0 <= probabilities) & (probabilities <= 1.001)).all():
      raise ValueError('probabilities holds values out of the range from 0 to 1')
  # Rounding may go past 1.
  if outputs.confidence.min() < 0 or outputs.confidence.max() > 1.001:
    raise ValueError('confidence holds values out of the range from 0 to 1')
