"""A diagram of a run's networks, with their sizes: student, projectors, teacher's classifier."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from pidkd_jax.report import parts
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas
from pidkd_jax.report.style import TEACHER_COLOUR, Style
from pidkd_jax.report.trial import Trial

# Size of the drawing in inches, which are its units.
WIDTH, HEIGHT = 12.4, 2.5
_STUDENT, _TEACHER = 0.62, 1.95  # Heights of the two rows' middles.
_BOX = 0.92  # Height of a box.
_DISTILLED = 'Distilled'


def choose(comparison: Comparison) -> Trial:
  """Return the trial to draw: the first one of the best label with projectors, if there is one."""
  trials = [comparison.first(label) for label in comparison.ranked]
  return next((t for t in trials if t.value('model', 'family') == _DISTILLED), trials[0])


def draw(
  axes: Axes, trial: Trial, teacher: Trial | None, style: Style, image: np.ndarray | None
) -> None:
  """Draw how the networks are put together.

  Args:
    axes: those of a box of WIDTH x HEIGHT inches.
    trial: the student.
    teacher: its teacher, or None where the run does not describe it.
    style: of the student's label.
    image: an image, uint8 [H, W, C], or None.
  """
  axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), aspect='equal')
  axes.axis('off')
  shared = trial.value('model', 'family') == _DISTILLED
  if image is not None:
    show_image(
      axes.inset_axes((0.05, _STUDENT - 0.46, 0.92, 0.92), transform=axes.transData), image
    )
  else:
    _box(axes, 0.05, 0.97, _STUDENT, ['image'], '#888888')
  (_draw_shared if shared else _draw_own)(axes, trial, teacher, style)


def show_image(axes: Axes, image: np.ndarray) -> None:
  """Show an image, uint8 [H, W, 1 or 3], with sharp pixels where they are few."""
  grey = image.shape[-1] == 1
  axes.imshow(
    image[..., 0] if grey else image,
    cmap='gray' if grey else None,
    vmin=0,
    vmax=255,
    interpolation='nearest' if image.shape[0] <= 96 else 'antialiased',
  )
  axes.set(xticks=[], yticks=[])
  axes.spines[:].set_color('#888888')


def _draw_shared(axes: Axes, trial: Trial, teacher: Trial | None, style: Style) -> None:
  """Draw a student with projectors and the teacher's classifier."""
  sizes = parts.parameters(trial)
  target = trial.value('model', 'target') or []
  q = trial.value('model', 'num_projectors') or 1
  channels = f'{target[-1]} channels' if target else ''
  classes = trial.value('model', 'num_classes')
  _arrow(axes, (1.0, _STUDENT), (1.5, _STUDENT))
  _box(
    axes, 1.5, 3.7, _STUDENT, [trial.network, "student's encoder", _count(sizes, 'student')],
    style.colour, filled=True,
  )  # fmt: skip
  # The projectors lie behind each other; the first is in front.
  depth = min(q, 4)
  for layer in reversed(range(depth)):
    lines = [
      f'{q} projector' + ('s' if q > 1 else ''),
      f'each to {channels}' if channels else '',
      _count(sizes, 'projectors'),
    ]
    offset = 0.09 * layer
    _box(
      axes, 4.35 + offset, 6.55 + offset, _STUDENT + offset, lines if layer == 0 else [],
      style.colour, filled=True,
    )  # fmt: skip
  right = 6.55 + 0.09 * (depth - 1)
  _arrow(axes, (3.7, _STUDENT), (4.35, _STUDENT))
  middle = 7.9
  word = trial.value('model', 'integration') or 'mean'
  _arrow(axes, (right, _STUDENT), (middle - 0.38, _STUDENT))
  _box(axes, middle - 0.38, middle + 0.38, _STUDENT, [word], style.colour, height=0.5)
  if target:
    shape = '\N{MULTIPLICATION SIGN}'.join(map(str, target))
    axes.text(middle, _STUDENT - 0.42, shape, ha='center', va='center', fontsize=9, color='#444444')
  _arrow(axes, (middle + 0.38, _STUDENT), (8.95, _STUDENT))
  whose = teacher.network if teacher else 'teacher'
  lines = [f"{whose}'s", 'classifier, shared', _count(sizes, 'teacher')]
  _box(axes, 8.95, 11.0, _STUDENT, lines, TEACHER_COLOUR, filled=True)
  _arrow(axes, (11.0, _STUDENT), (11.45, _STUDENT))
  axes.text(11.5, _STUDENT, f'{classes} classes' if classes else 'class', va='center', fontsize=10)
  _draw_teacher(axes, teacher, sizes.get('teacher', 0), middle)
  _arrow(axes, (middle, _TEACHER - 0.32), (middle, _STUDENT + 0.25), style.colour, both=True)
  axes.text(
    middle + 0.1, (_TEACHER + _STUDENT) / 2 - 0.02, 'squared distance', va='center',
    fontsize=9, color=style.colour,
  )  # fmt: skip


def _draw_teacher(axes: Axes, teacher: Trial | None, shared: int, end: float) -> None:
  """Draw the teacher's encoder, which only a training runs, up to the x of its target map."""
  axes.plot([0.5, 0.5], [_STUDENT + 0.5, _TEACHER], color='#888888', linewidth=1.2, linestyle='--')
  _arrow(axes, (0.5, _TEACHER), (1.5, _TEACHER), '#888888', dashed=True)
  total = teacher.value('cost', 'parameters') if teacher else None
  encoder = {'encoder': total - shared} if total and shared else {}
  lines = [teacher.network if teacher else 'teacher', "teacher's encoder, frozen"]
  lines.append(', '.join(filter(None, [_count(encoder, 'encoder'), 'only in training'])))
  _box(axes, 1.5, 6.55, _TEACHER, lines, TEACHER_COLOUR, dashed=True)
  _arrow(axes, (6.55, _TEACHER), (end - 0.55, _TEACHER), '#888888', dashed=True)
  _box(axes, end - 0.55, end + 0.55, _TEACHER, ["teacher's", 'target map'], TEACHER_COLOUR,
       height=0.62, dashed=True)  # fmt: skip


def _draw_own(axes: Axes, trial: Trial, teacher: Trial | None, style: Style) -> None:
  """Draw a student with a classifier of its own."""
  classes, right = trial.value('model', 'num_classes'), 10.5
  total = {'all': trial.value('cost', 'parameters')}
  _arrow(axes, (1.0, _STUDENT), (1.5, _STUDENT))
  lines = [trial.network, 'student with its own classifier', _count(total, 'all')]
  _box(axes, 1.5, right, _STUDENT, lines, style.colour, filled=True)
  _arrow(axes, (right, _STUDENT), (right + 0.6, _STUDENT))
  text = f'{classes} classes' if classes else 'class'
  axes.text(right + 0.68, _STUDENT, text, va='center', fontsize=10)
  if teacher is None:
    return
  axes.plot([0.5, 0.5], [_STUDENT + 0.5, _TEACHER], color='#888888', linewidth=1.2, linestyle='--')
  _arrow(axes, (0.5, _TEACHER), (1.5, _TEACHER), '#888888', dashed=True)
  total = {'all': teacher.value('cost', 'parameters')}
  lines = [teacher.network, 'teacher, frozen', f'{_count(total, "all")}, only in training']
  _box(axes, 1.5, right, _TEACHER, lines, TEACHER_COLOUR, dashed=True)
  middle = (1.5 + right) / 2
  _arrow(axes, (middle, _TEACHER - 0.46), (middle, _STUDENT + 0.47), style.colour, dashed=True)
  text = f'method: {trial.settings["method"]}'
  axes.text(
    middle + 0.1, (_TEACHER + _STUDENT) / 2, text, va='center', fontsize=9, color=style.colour
  )


def format_count(count: int) -> str:
  """Format a number of parameters in three digits.

  Example:
    >>> [format_count(n) for n in (420, 1290, 77104, 691834, 23_500_000)]
    ['420', '1.29 k', '77.1 k', '692 k', '23.5 M']
  """
  if count < 1000:
    return str(count)
  return f'{count / 1e3:.3g} k' if count < 999_500 else f'{count / 1e6:.3g} M'


def _count(sizes: Mapping[str, int], part: str) -> str:
  return f'{format_count(sizes[part])} parameters' if sizes.get(part) else ''


def _box(
  axes: Axes,
  left: float,
  right: float,
  middle: float,
  lines: Sequence[str],
  colour: str,
  *,
  height: float = _BOX,
  filled: bool = False,
  dashed: bool = False,
) -> None:
  """Draw a box with lines of text, the first one bold where there are several."""
  axes.add_patch(
    FancyBboxPatch(
      (left, middle - height / 2),
      right - left,
      height,
      boxstyle='round,pad=0,rounding_size=0.1',
      facecolor=_tint(colour) if filled else 'white',
      edgecolor=colour,
      linewidth=1.4,
      linestyle='--' if dashed else '-',
    )
  )
  shown = [line for line in lines if line]
  for number, line in enumerate(shown):
    text = axes.text(
      (left + right) / 2,
      middle + 0.245 * ((len(shown) - 1) / 2 - number),
      line,
      ha='center',
      va='center',
      fontsize=11 if number == 0 and len(shown) > 2 else 9.5,
      fontweight='bold' if number == 0 and len(shown) > 2 else 'normal',
      color='#222222',
    )
    canvas.shorten(text, right - left - 0.1)


def _tint(colour: str) -> tuple[float, float, float]:
  """Return a light tint of a colour '#rrggbb', which covers what lies behind."""
  red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
  return (0.86 + 0.14 * red, 0.86 + 0.14 * green, 0.86 + 0.14 * blue)


def _arrow(
  axes: Axes,
  begin: tuple[float, float],
  end: tuple[float, float],
  colour: str = '#444444',
  *,
  dashed: bool = False,
  both: bool = False,
) -> None:
  axes.add_patch(
    FancyArrowPatch(
      begin,
      end,
      arrowstyle='<|-|>' if both else '-|>',
      mutation_scale=11,
      color=colour,
      linewidth=1.4,
      linestyle='--' if dashed else '-',
      shrinkA=0,
      shrinkB=0,
    )
  )
