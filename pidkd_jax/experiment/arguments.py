"""What `kd.train` and `kd.distill` are given, checked and in the types that an experiment has."""

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pidkd_jax import methods as registered
from pidkd_jax import models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.bundles.trained_network import TrainedNetwork, load
from pidkd_jax.core.errors import UserError, respelled
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.experiment import check
from pidkd_jax.experiment import fields as table
from pidkd_jax.experiment import start as starts
from pidkd_jax.experiment.crops import Crops
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.methods import MethodSpec, catalog
from pidkd_jax.training import writers as available
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

Network = str | type[models.Model]
Trained = TrainedNetwork | str | pathlib.Path
Choice = str | type[registered.Method] | MethodSpec

# The fields of an experiment that are fields of a configuration.
_NUMBERS = {'seed', 'holdout', 'shots', 'eval_every'}


def dataset(given: Any) -> Dataset:
  """Return the data set that was given.

  Raises:
    UserError: it is none.
  """
  return _of_type(Dataset, 'data', given, "kd.data.load('digits') or kd.data.from_arrays(...)")


def trained(what: str, given: Trained, own: Iterable[models.Family] = ()) -> TrainedNetwork:
  """Return a trained network, loaded where its folder was given.

  Args:
    what: the subject of messages.
    given: the network, or the folder of its bundle.
    own: the user's own classes of networks that the bundle may hold.

  Raises:
    UserError: it is neither, or cannot be loaded.
  """
  if isinstance(given, TrainedNetwork):
    return given
  if not isinstance(given, str | os.PathLike):
    raise UserError(
      f'{what} is given as a {type(given).__name__}; give one trained network, or the folder of a '
      'bundle'
    )
  if given in models.names() and not os.path.exists(given):
    raise UserError(f'{what} is {given!r}, a network that is not trained; train it by kd.train')
  with respelled({'own': 'kd.load(FOLDER, own), with own'}):
    return load(given, own)


def start(given: Trained | None, data: Dataset, own: Iterable[models.Family]) -> Bundle | None:
  """Return the bundle with whose weights a training begins, fitted to the data, or None.

  Raises:
    UserError: as `trained`, or it does not fit the data.
  """
  if given is None:
    return None
  return starts.fitted('start', trained('start', given, own).bundle, data.spec)


def network(given: Network) -> str:
  """Return the name of a network to train.

  Raises:
    UserError: it is neither a name nor a class, or another class has its name.
  """
  if not isinstance(given, str | type):
    raise UserError(
      f'the network to train is given as a {type(given).__name__} object; give its name, such as '
      "'resnet8', or its class"
    )
  if isinstance(given, str):
    return given
  name = f'{given.__module__}:{given.__qualname__}'
  if models.families(name) != {given}:
    raise UserError(
      f'two classes are named {name!r}, and only the later one would train; give them different '
      'names'
    )
  return name


def methods(given: Choice | Sequence[Choice] | Mapping[str, Choice]) -> dict[str, MethodSpec]:
  """Return {label: method}; without labels the methods' names are taken.

  Raises:
    UserError: there is none, one is named twice, or a label cannot be a folder.
  """
  if isinstance(given, Mapping):
    for label in given:
      check.check_label(label)
    specs = dict(zip(given, _chosen(given.values()), strict=True))
  else:
    if isinstance(given, str | MethodSpec | type) or not isinstance(given, Iterable):
      chosen = _chosen([given])
    else:
      chosen = _chosen(given)
    # The class's name is enough of a user's own method.
    specs = {spec.name.rpartition(':')[2]: spec for spec in chosen}
    if len(specs) < len(chosen):
      raise UserError('a method is named twice; give labels, e.g. {"a": ..., "b": ...}')
  if not specs:
    raise UserError("no method was given; name one, e.g. methods='pidkd'")
  for label in specs:
    check.check_label(label)
  return specs


def _chosen(choices: Iterable[Choice]) -> list[MethodSpec]:
  """Return the choices as specs.

  Raises:
    UserError: a name has come to stand for another class.
  """
  specs = []
  for choice in choices:
    if not isinstance(choice, str | MethodSpec | type):
      raise UserError(
        f'a method is given as a {type(choice).__name__}; give its name, its class, or '
        'kd.method(...)'
      )
    specs.append(choice if isinstance(choice, MethodSpec) else registered.method(choice))
  for spec in specs:
    if catalog.class_of(spec.name)[0] is not spec.kind:
      raise UserError(
        f'two classes are named {spec.name!r}, and only the later one would train; give them '
        'different names, or call kd.method anew after a class was defined anew'
      )
  return specs


def recipe(given: Recipe, epochs: int, batch_size: int | None, precision: str | None) -> Recipe:
  """Return a recipe with what is given beside it.

  Raises:
    UserError: it is no `kd.Recipe`, or a field cannot have its value.
  """
  own = _of_type(Recipe, '`recipe`', given, "kd.Recipe(schedule='cosine')")
  beside = {'batch_size': batch_size, 'precision': precision}
  changes: dict[str, Any] = {name: value for name, value in beside.items() if value is not None}
  changes['total_epochs'] = epochs
  values = {one.name: changes.get(one.name, getattr(own, one.name)) for one in table.RECIPE}
  return Recipe(**{name: checked(name, value) for name, value in values.items()})


def optimizer(learning_rate: float, weight_decay: float) -> OptimizerHparams:
  """Return the numbers of an optimizer; errors as `checked`."""
  return OptimizerHparams(
    checked('learning_rate', learning_rate), checked('weight_decay', weight_decay)
  )


def checked(name: str, value: Any) -> Any:
  """Return the value of a parameter that is a field of a configuration, too, as that has it.

  Raises:
    UserError: the field cannot have this value.
  """
  known = {field.name.removeprefix('data.'): field for field in table.FIELDS}
  return check.check_value(known[name], name, value)


def experiment(
  members: tuple[Member, ...], data: Dataset, recipe: Recipe, crops: Crops, **fields: Any
) -> Experiment:
  """Return an experiment; `fields` are further ones of `Experiment`.

  Raises:
    UserError: a network is unknown, `crops` is no `kd.Crops`, or a field cannot have its value.
  """
  for member in members:
    models.create(member.student, num_classes=data.spec.num_classes)
  crops = _of_type(Crops, '`crops`', crops, "kd.Crops('resized')")
  numbers = {name: checked(name, fields[name]) for name in _NUMBERS & fields.keys()}
  return Experiment(members=members, recipe=recipe, **crops.fields(data.spec), **(fields | numbers))


def writers(given: Sequence[str] | None) -> tuple[str, ...]:
  """Return the names of the chosen writers.

  Raises:
    UserError: one is unknown, or its package is missing.
  """
  chosen = (given,) if isinstance(given, str) else tuple(given or ())
  available.check(chosen)
  return chosen


def _of_type(kind: type, name: str, given: Any, example: str) -> Any:
  if not isinstance(given, kind):
    raise UserError(f'{name} is given as {type(given).__name__}; give {example}')
  return given
