"""The table of settings: method, student and hyper-parameters of each label."""

from collections.abc import Mapping

from pidkd_jax.report import table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.table import Column


def columns(comparison: Comparison) -> list[Column]:
  """Return the table, a row for each label."""
  first = [next(iter(trials.values())) for trials in comparison.labels.values()]
  settings = [trial.settings for trial in first]
  optimizers = [members['optimizer'] for members in settings]
  epochs = [
    sorted({trial.value('training', 'epoch') for trial in trials.values()})
    for trials in comparison.labels.values()
  ]
  total = comparison.card['training']['recipe']['total_epochs']
  return [
    table.text_column('', list(comparison.labels)),
    table.text_column('method', [members['method'] for members in settings]),
    table.text_column('student', [trial.network for trial in first]),
    table.text_column(
      'hyper-parameters', [_format_settings(members['hyperparameters']) for members in settings]
    ),
    *(
      table.text_column(
        name.replace('_', ' '),
        ['' if values.get(name) is None else f'{values[name]:g}' for values in optimizers],
      )
      for name in dict.fromkeys(name for values in optimizers for name in values)
    ),
    table.text_column(f'epoch of {total}', [', '.join(map(str, row)) for row in epochs]),
  ]


def _format_settings(values: Mapping[str, object]) -> str:
  return ', '.join(f'{name} {value}' for name, value in values.items())
