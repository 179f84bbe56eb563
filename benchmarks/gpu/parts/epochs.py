"""Whole trainings, extrapolated from their steps: a teacher, PIDKD, and five trials as a cohort."""

import functools

from benchmarks.gpu.part import Measurements, Part, Place, Row

PRECISION = 'bfloat16'
TRIALS = 5
EPOCHS, IMAGES, TEST_IMAGES = 240, 50_000, 10_000


def measurements(place: Place) -> Measurements:
  """Return the measurements; PIDKD alone is measured once."""

  @functools.cache
  def alone():
    from benchmarks.gpu.training import Training

    training = Training(place.short, PRECISION)
    return training, training.milliseconds()

  def pidkd() -> Row:
    training, milliseconds = alone()
    evaluation = _evaluation(training, 32 if place.short else TEST_IMAGES)
    return _extrapolated(training.setting, milliseconds, evaluation)

  def teacher() -> Row:
    from benchmarks.gpu import teacher

    setting, milliseconds = teacher.milliseconds(place.short, PRECISION)
    return _extrapolated(setting, milliseconds, 0.0)

  def cohort(side_by_side: bool = False) -> Row:
    from benchmarks.gpu.training import Training

    together = Training(
      place.short, PRECISION, trials=TRIALS, side_by_side=side_by_side
    ).milliseconds()
    single = alone()[1]
    return {'ms a step': together, 'of the time of as many runs': together / (TRIALS * single)}

  return {
    'PIDKD': pidkd,
    'the teacher, without evaluation': teacher,
    f'{TRIALS} trials as one cohort': cohort,
    f'{TRIALS} trials as one cohort, side by side': functools.partial(cohort, side_by_side=True),
  }


def _extrapolated(setting, milliseconds: float, evaluation: float) -> Row:
  steps = EPOCHS * (IMAGES // setting.batch_size)
  return {
    'ms a step': milliseconds,
    'images/s': 1000 * setting.batch_size / milliseconds,
    'an evaluation (s)': evaluation,
    f'{EPOCHS} epochs, extrapolated (min)': (
      steps * milliseconds / 60_000 + EPOCHS * evaluation / 60
    ),
  }


def _evaluation(training, images: int) -> float:
  """Return the median seconds of an evaluation of the deployed student."""
  from benchmarks import floor, pair
  from pidkd_jax.data import noise
  from pidkd_jax.evaluation import inference

  data = noise.dataset(images, pair.SIDE, pair.CLASSES)
  batches = inference.eval_batches(data.test, data.spec.normalisation)
  [(name, state)] = training.states.items()
  network = training.cohort.network(name, state.variables)
  return floor.median(lambda: inference.logits(network, batches), training.rounds)


PART = Part('epochs', 'Whole trainings', 100, measurements)
