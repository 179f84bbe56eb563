"""The main job: a teacher, a cohort of students, their bundles and a report.

The one module of the package that reads a ConfigDict.
"""

import dataclasses
import hashlib
import json
import logging
import pathlib
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from pidkd_jax import bundle, data, models, report
from pidkd_jax import config as configuration
from pidkd_jax.bundle import Bundle
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.errors import UserError
from pidkd_jax.evaluation.evaluate import evaluate
from pidkd_jax.training import run, workdir
from pidkd_jax.training.cohort import Member
from pidkd_jax.training.recipe import Numbers, Recipe
from pidkd_jax.types import DatasetSpec, Network

logger = logging.getLogger(__name__)

# What may differ when a run is taken up again.
_HARMLESS = ('checkpoint_seconds', 'data.dir', 'teacher.dir')


def main(config: ConfigDict, folder: str) -> str:
  """Runs the main job, or goes on with it.

  Args:
    config: of `pidkd_jax.config.default`.
    folder: the run's own; what it comes to lies in report.md, curves.png and bundles/ there.

  Returns:
    The report, Markdown.

  Raises:
    UserError: one line for whatever the user can mend.
    Stopped: on SIGTERM or SIGINT.
  """
  configuration.check(config)
  home = workdir.local('workdir', folder)
  dataset = data.load(
    config.data.name,
    directory=config.data.dir,
    archive=config.data.archive,
    verify=config.data.verify,
  )
  spec = dataset.spec
  logger.info(
    '%s: %d training and %d test images of %s, %d classes; %s',
    spec.name,
    len(dataset.train),
    len(dataset.test),
    spec.image_shape,
    spec.num_classes,
    spec.source,
  )
  pace = run.Pace(config.checkpoint_seconds, config.steps_per_call)
  plan = _plan(config, _members(config), _recipe(config), config.seed, spec)
  # Whatever is wrong comes out before anything is written or trained.
  if config.teacher.bundle:
    own = models.families(config.student, config.teacher.model)
    kept = _load_teacher(workdir.local('teacher.bundle', config.teacher.bundle), dataset, own)
    run.rehearse(plan, dataset, kept.network)
    workdir.claim(home, 'config.json', _identity(config, spec), _HARMLESS)
  else:
    run.rehearse(plan, dataset, _untrained(config.teacher.model, spec))
    workdir.claim(home, 'config.json', _identity(config, spec), _HARMLESS)
    kept = _trained(config, dataset, home, pace)
  run.execute(plan, dataset, kept, home, 'students', pace)
  return _report(home, dataset, kept)


def _identity(config: ConfigDict, spec: DatasetSpec) -> dict[str, Any]:
  """What the run is: its configuration, and what networks of the user's own are like today."""
  own = [name for name in (config.student, config.teacher.model) if ':' in name]
  described = {
    name: models.describe(models.create(name, num_classes=spec.num_classes)) for name in own
  }
  return config.to_dict() | ({'networks': described} if described else {})


def _members(config: ConfigDict) -> tuple[Member, ...]:
  chosen = {config.method.name: {k: v for k, v in config.method.items() if k != 'name'}}
  chosen |= {name: fields.to_dict() for name, fields in config.compare.items()}
  numbers = Numbers(config.learning_rate, config.weight_decay)
  return tuple(
    Member(name, config.student, name, fields, numbers, trial)
    for name, fields in chosen.items()
    for trial in range(config.trials)
  )


def _recipe(config: ConfigDict) -> Recipe:
  return Recipe(**{field.name: config[field.name] for field in dataclasses.fields(Recipe)})


def _plan(
  config: ConfigDict, members: tuple[Member, ...], recipe: Recipe, seed: int, spec: DatasetSpec
) -> run.Plan:
  if config.data.padding > min(spec.image_shape[:2]):
    raise UserError(
      f'data.padding is {config.data.padding}, more than the {spec.image_shape[:2]} images of '
      f'{spec.name}; the recipe has {spec.padding}'
    )
  return run.Plan(
    members=members,
    recipe=recipe,
    seed=seed,
    padding=spec.padding if config.data.padding < 0 else config.data.padding,
    flip=spec.flip if config.data.flip < 0 else bool(config.data.flip),
    holdout=config.data.holdout,
    eval_every=config.eval_every,
  )


def _untrained(name: str, spec: DatasetSpec) -> Network:
  """A teacher as shapes."""
  model = models.create(name, num_classes=spec.num_classes)
  image = jax.ShapeDtypeStruct((1, *spec.image_shape), jnp.float32)
  return Network(jax.eval_shape(model.init, jax.random.key(0), image), model)


def _trained(config: ConfigDict, dataset: Dataset, home: pathlib.Path, pace: run.Pace) -> Bundle:
  """The teacher that this recipe gives on these data: kept from an earlier run, or trained."""
  fields = config.teacher
  numbers = Numbers(fields.learning_rate, fields.weight_decay)
  member = Member('teacher', fields.model, 'scratch', {}, numbers, trial=-1)
  recipe = dataclasses.replace(
    _recipe(config), total_epochs=fields.total_epochs, batch_size=fields.batch_size
  )
  plan = _plan(config, (member,), recipe, fields.seed, dataset.spec)
  place = workdir.local('teacher.dir', fields.dir) if fields.dir else home.parent / 'teachers'
  folder = place / _teacher_name(plan, dataset)
  trained = folder / 'bundles' / member.name
  if trained.exists():
    logger.info('teacher: kept in %s', trained)
  else:
    logger.info('teacher: trained now, to be kept in %s', trained)
    workdir.claim(folder, 'config.json', dataclasses.asdict(plan), {'eval_every'})
    run.execute(plan, dataset, None, folder, 'teacher', pace)
  return _load_teacher(trained, dataset, models.families(fields.model))


def _teacher_name(plan: run.Plan, dataset: Dataset) -> str:
  """Says dataset, model, seed and length; the digest stands for the whole recipe and the data."""
  recipe = dataclasses.asdict(plan)
  if not plan.holdout:  # Then evaluations along the way change nothing.
    del recipe['eval_every']
  # A network of the user's own may change under the same name.
  model = models.create(plan.members[0].student, num_classes=dataset.spec.num_classes)
  whole = json.dumps([recipe, models.describe(model), dataset.spec.fingerprint], sort_keys=True)
  digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
  network = plan.members[0].student.replace(':', '.')
  return f'{dataset.spec.name}-{network}-seed{plan.seed}-{plan.recipe.total_epochs}epochs-{digest}'


def _load_teacher(folder: pathlib.Path, dataset: Dataset, own: Collection[models.Family]) -> Bundle:
  """Loads a bundle and makes sure that it was trained for these data."""
  loaded = bundle.load(folder, own)
  theirs, ours = loaded.card['dataset'], dataset.spec
  known = theirs['class_names'] is not None
  num_classes = len(theirs['class_names']) if known else loaded.network.model.num_classes
  if (
    num_classes != ours.num_classes
    or tuple(theirs['image_shape']) != ours.image_shape
    or (known and (tuple(theirs['class_names']), theirs['name']) != (ours.class_names, ours.name))
  ):
    raise UserError(
      f'teacher bundle {str(folder)!r} is for the {num_classes} classes of '
      f'{theirs["name"] or "unknown data"} at {theirs["image_shape"]} and not for the '
      f'{ours.num_classes} of {ours.name} at {list(ours.image_shape)}; '
      'give another teacher.bundle, or none to train one'
    )
  if not known:
    logger.warning(
      'the teacher does not say which classes it knows; they are taken to be those of %s in its '
      'order',
      ours.name,
    )
  return loaded


def _report(home: pathlib.Path, dataset: Dataset, teacher: Bundle) -> str:
  """Keeps how the teacher does on the test images, as the report is made of the folder alone."""
  stats = teacher.card['dataset']
  judged = evaluate(
    {'teacher': teacher.network}, dataset.test, stats['mean'], stats['std'], teacher.network
  )
  workdir.write_json(home / 'teacher.json', {**teacher.card, 'results': judged['teacher']})
  return report.run(home)
