"""The table of measurements."""

from collections.abc import Sequence

from pidkd_jax.core import screen
from pidkd_jax.latency.measurement import Measurement
from pidkd_jax.report.table import Column, mean_column, text_column, to_screen

# Columns that a screen shows.
_ON_SCREEN = ('network', 'on', 'top-1 (%)', 'size (MB)', 'images', 'median (ms)', 'images/s')


def on_screen(columns: Sequence[Column]) -> screen.Table:
  """Return the columns that matter most for a screen; all others stand in the files."""
  return to_screen([column for column in columns if column.heading in _ON_SCREEN])


def columns(measurements: Sequence[Measurement]) -> list[Column]:
  """Return the table, a row for each measurement."""

  def numbers(heading, values, digits):
    return mean_column(heading, [[] if v is None else [v] for v in values], digits)

  candidates = [m.candidate for m in measurements]
  ranges = [m.round_range for m in measurements]
  return [
    text_column('network', [candidate.name for candidate in candidates]),
    text_column('on', [m.platform for m in measurements]),
    numbers('top-1 (%)', [c.top1 and 100 * c.top1 for c in candidates], 2),
    numbers('size (MB)', [1e-6 * candidate.size for candidate in candidates], 3),
    numbers('images', [m.batch_size for m in measurements], 0),
    numbers('median (ms)', [1e3 * m.median for m in measurements], 3),
    numbers('95% within (ms)', [1e3 * m.p95 for m in measurements], 3),
    Column(
      'rounds (ms)',
      [f'{1e3 * low:.3f} - {1e3 * high:.3f}' for low, high in ranges],
      {
        'fastest round (ms)': [1e3 * low for low, _ in ranges],
        'slowest round (ms)': [1e3 * high for _, high in ranges],
      },
    ),
    numbers('images/s', [m.batch_size / m.median for m in measurements], 0),
    numbers('peak memory (MiB)', [2**-20 * m.peak_bytes for m in measurements], 0),
  ]
