"""The writers that a configuration can choose, by name."""

from collections.abc import Iterable, Mapping

from pidkd_jax.core import registry
from pidkd_jax.training.writers.writer import Writer

_PLACE = ('pidkd_jax.training.writers', 'WRITERS')


def writers() -> Mapping[str, type[Writer]]:
  """Return {name: writer}, sorted by name."""
  return registry.discover(*_PLACE)


def names() -> tuple[str, ...]:
  """Return the names of the writers.

  Example:
    >>> names()
    ('mlflow', 'wandb')
  """
  return tuple(writers())


def check(chosen: Iterable[str]) -> None:
  """Check that the chosen writers can write, as far as it can be told before training.

  Raises:
    UserError: a name is unknown, a package is missing, or a writer is not set up.
  """
  for name in chosen:
    registry.find('writer', *_PLACE, name).check(name)
