"""A run in one picture: its networks, accuracy against size, and predictions on test images."""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from pidkd_jax.report import class_names
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.examples import Examples
from pidkd_jax.report.figures import canvas, diagram, predictions, scatter, teacher_line
from pidkd_jax.report.figures.canvas import Box
from pidkd_jax.report.figures.log_axis import use_plain_numbers
from pidkd_jax.report.label_placement import label_points
from pidkd_jax.report.style import TEACHER_COLOUR, Style, label_styles
from pidkd_jax.report.trial import Trial

# With more labels beside each other, the teacher is a line alone, which leaves them more room.
_MOST_BESIDE = 9
# In inches; the proportions of a slide.
_WIDTH, _HEIGHT = 13.33, 7.5
# Characters of a title from which on its letters are small.
_LONG = 90
_DIAGRAM = Box((_WIDTH - diagram.WIDTH) / 2, 3.95, diagram.WIDTH, diagram.HEIGHT)
_SIZES = Box(0.85, 0.6, 4.2, 2.8)
_SIZES_ALONE = Box(0.85, 0.6, _WIDTH - 1.3, 2.8)
_PREDICTIONS = Box(5.75, 0.25, _WIDTH - 6.05, 3.5)


@canvas.literal_text()
def draw(comparison: Comparison, baseline: str | None) -> tuple[Figure, str]:
  """Draw students, projectors and teacher's classifier, and below them the results.

  Args:
    comparison: the runs whose cards, bundles and outputs are read.
    baseline: a label to draw prominently, or None.

  Returns:
    The figure and its caption.

  Raises:
    UserError: Outputs, images or a bundle are damaged.
  """
  styles = label_styles(comparison.labels, baseline)
  best = comparison.labels[comparison.ranked[0]].values()
  leader = max(best, key=lambda trial: scatter.top1([trial]))
  examples = next((run.examples for run in comparison.runs if run.examples), None)
  shown = _probabilities(comparison.teacher, leader, examples)
  figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=100)
  _write_titles(figure, comparison, leader, float(np.mean(scatter.top1(best))))
  drawn = diagram.choose(comparison)
  axes = figure.add_axes(_DIAGRAM.of(figure))
  image = None if examples is None else examples.image[0]
  diagram.draw(axes, drawn, comparison.teacher, styles[drawn.label], image)
  sizes = _SIZES if shown else _SIZES_ALONE
  _draw_sizes(figure.add_axes(sizes.of(figure)), comparison, styles)
  caption = (
    f'Above: the networks of {drawn.label}; what is dashed only runs in the training. Below: test '
    'top-1 against deployed parameters, means over trials with standard deviations; rings are '
    'points that lie on each other.'
  )
  if examples is None or not shown:
    return figure, f'{caption} The run kept no test images to show, so no predictions are shown.'
  colours = {'teacher': TEACHER_COLOUR, leader.name: styles[leader.label].colour}
  names = class_names.readable(leader.value('dataset', 'class_names') or [])
  predictions.draw(figure, _PREDICTIONS, examples, shown, colours, names)
  return figure, (
    f'{caption} Right: the likeliest classes of the first {len(examples.image)} test images of '
    f'different classes, the true class in bold; {leader.name} is the best trial of the label '
    'with the best mean.'
  )


def _probabilities(
  teacher: Trial | None, leader: Trial, examples: Examples | None
) -> dict[str, np.ndarray]:
  """Return {network: probabilities of the examples} of the networks that have them."""
  found = {}
  for name, trial in (('teacher', teacher), (leader.name, leader)):
    values = trial.outputs.probabilities if trial and trial.outputs else None
    if values is not None and examples is not None and len(values) == len(examples.image):
      found[name] = values
  return found


def _write_titles(figure: Figure, comparison: Comparison, leader: Trial, mean: float) -> None:
  """Write what the run is, and what came out of it."""
  left, top = 0.45 / _WIDTH, 1 - 0.15 / _HEIGHT
  size = 16 if len(comparison.title) < _LONG else 11
  title = figure.text(left, top, comparison.title, fontsize=size, fontweight='bold', va='top')
  canvas.shorten(title, diagram.WIDTH)
  words = f'{leader.label}: {mean:.1f}% with {_size(leader)}'
  if comparison.teacher is not None:
    [height] = scatter.top1([comparison.teacher])
    words += f'. Teacher: {height:.1f}% with {_size(comparison.teacher)}'
  figure.text(left, top - 0.36 / _HEIGHT, f'{words}.', fontsize=12, color='#444444', va='top')


def _size(trial: Trial) -> str:
  return f'{diagram.format_count(trial.value("cost", "parameters"))} parameters'


def _draw_sizes(axes: Axes, comparison: Comparison, styles: Mapping[str, Style]) -> None:
  """Draw top-1 against deployed parameters, the teacher among them."""
  values = {
    label: (
      [1e-6 * trial.value('cost', 'parameters') for trial in trials.values()],
      scatter.top1(trials.values()),
    )
    for label, trials in comparison.labels.items()
  }
  points = scatter.draw(axes, values, styles)
  across = [point.x for point in points.values()]
  teacher = comparison.teacher
  if teacher is not None and len(points) <= _MOST_BESIDE:
    name = _draw_teacher(axes, teacher, across)
    across.append(1e-6 * teacher.value('cost', 'parameters'))
  else:
    name = scatter.draw_teacher(axes, teacher, 'parameters')
  if max(across) > 4 * min(across):
    axes.set_xscale('log')
    use_plain_numbers(axes.xaxis, most=6)
  axes.set_xlabel('deployed parameters (M)')
  axes.set_ylabel('test top-1 (%)')
  label_points(axes, points, styles, [name] if name else [])


def _draw_teacher(axes: Axes, teacher: Trial, across: Sequence[float]) -> Annotation:
  """Draw a star at the teacher's size, and a line at its height.

  Args:
    axes: to draw in.
    teacher: the teacher.
    across: sizes of the students. The name stands on their side of the star.
  """
  size, [height] = 1e-6 * teacher.value('cost', 'parameters'), scatter.top1([teacher])
  axes.plot(size, height, marker='*', markersize=13, color=TEACHER_COLOUR, linestyle='none')
  axes.axhline(height, **teacher_line.LOOK)
  right = size > statistics.median(across)
  return axes.annotate(
    f'teacher {teacher.network}',
    (size, height),
    xytext=(-8 if right else 8, 4),
    textcoords='offset points',
    ha='right' if right else 'left',
    fontsize=9,
    color=TEACHER_COLOUR,
  )
