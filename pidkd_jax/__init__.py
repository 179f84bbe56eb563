"""Projector-integration knowledge distillation with a shared classifier, in JAX and Flax.

    import pidkd_jax as kd

    data = kd.data.load('digits')
    teacher = kd.train('resnet14', data, epochs=6)
    students = kd.distill(teacher, data, student='resnet8', epochs=6)
    students['pidkd'].save('student')
    probabilities = kd.load('student').predict(data.test.images)

Importing this package imports neither JAX nor TFDS. Its parts are imported when they are used.

Source: Zuo et al. 2024, Complex & Intelligent Systems 10:4521-4533,
doi:10.1007/s40747-024-01394-3.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from pidkd_jax import data, export, methods, models, nn, training
  from pidkd_jax.bundles.trained_network import TrainedNetwork, load
  from pidkd_jax.core.errors import Stopped, UserError
  from pidkd_jax.experiment.distillation import Distillation, distill, train
  from pidkd_jax.methods import method
  from pidkd_jax.nn import losses

__version__ = '0.1.0'

__all__ = [
  'Distillation',
  'Stopped',
  'TrainedNetwork',
  'UserError',
  'data',
  'distill',
  'export',
  'load',
  'losses',
  'method',
  'methods',
  'models',
  'nn',
  'train',
  'training',
]

# {public name: (module, name in it)}; a name that is not here is a module.
_PLACES = {
  'Distillation': ('experiment.distillation', 'Distillation'),
  'Stopped': ('core.errors', 'Stopped'),
  'TrainedNetwork': ('bundles.trained_network', 'TrainedNetwork'),
  'UserError': ('core.errors', 'UserError'),
  'distill': ('experiment.distillation', 'distill'),
  'load': ('bundles.trained_network', 'load'),
  'losses': ('nn', 'losses'),
  'method': ('methods', 'method'),
  'train': ('experiment.distillation', 'train'),
}


def __getattr__(name: str) -> Any:
  if name not in __all__:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  if name not in _PLACES:
    return importlib.import_module(f'{__name__}.{name}')
  module, attribute = _PLACES[name]
  value = getattr(importlib.import_module(f'{__name__}.{module}'), attribute)
  globals()[name] = value
  return value


def __dir__() -> list[str]:
  return sorted([*globals(), *__all__])
