"""What a report needs to know of a teacher, written into the run's folder."""

import dataclasses
import pathlib

from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.evaluation import outputs
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.evaluation.evaluate import evaluate
from pidkd_jax.experiment import workdir


def teacher(name: str, bundle: Bundle, dataset: Dataset, home: pathlib.Path) -> None:
  """Evaluate a teacher and write its card and outputs, and the images that reports show, once.

  Args:
    name: of the files, 'teacher' or 'origin'.
    bundle: the teacher.
    dataset: has the test split.
    home: folder of the run.
  """
  path = home / f'{name}.json'
  if path.exists():
    return
  split, normalisation, network = dataset.test.larger, bundle.normalisation, bundle.network
  evaluation = evaluate({name: network}, split, normalisation, network)[name]
  spent = dataclasses.asdict(cost(network, dataset.spec.teacher_shape))
  place = home / 'outputs' / f'{name}.npz'
  outputs.save(place, evaluation.logits, network, split, normalisation)
  outputs.save_examples(home / 'outputs' / 'examples.npz', split)
  workdir.write_json(path, {**bundle.card, 'cost': spent, 'results': evaluation.metrics})
