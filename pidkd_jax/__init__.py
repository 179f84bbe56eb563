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

from typing import TYPE_CHECKING

from pidkd_jax.core import lazy

if TYPE_CHECKING:
  from pidkd_jax import bundles, data, evaluation, export, methods, models, nn, training
  from pidkd_jax.bundles.trained_network import TrainedNetwork, load
  from pidkd_jax.core.errors import Stopped, UserError
  from pidkd_jax.experiment.crops import Crops
  from pidkd_jax.experiment.distillation import Distillation, distill, train
  from pidkd_jax.methods import method
  from pidkd_jax.nn import losses
  from pidkd_jax.training.recipe import Recipe

  __version__: str

__all__ = [
  '__version__',
  'Crops',
  'Distillation',
  'Recipe',
  'Stopped',
  'TrainedNetwork',
  'UserError',
  'bundles',
  'data',
  'distill',
  'evaluation',
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

__getattr__, __dir__ = lazy.attach(
  __name__,
  {
    '__version__': 'pidkd_jax.core.own_version:find()',
    'Crops': 'pidkd_jax.experiment.crops:Crops',
    'Distillation': 'pidkd_jax.experiment.distillation:Distillation',
    'Recipe': 'pidkd_jax.training.recipe:Recipe',
    'Stopped': 'pidkd_jax.core.errors:Stopped',
    'TrainedNetwork': 'pidkd_jax.bundles.trained_network:TrainedNetwork',
    'UserError': 'pidkd_jax.core.errors:UserError',
    'bundles': 'pidkd_jax.bundles',
    'data': 'pidkd_jax.data',
    'distill': 'pidkd_jax.experiment.distillation:distill',
    'evaluation': 'pidkd_jax.evaluation',
    'export': 'pidkd_jax.export',
    'load': 'pidkd_jax.bundles.trained_network:load',
    'losses': 'pidkd_jax.nn.losses',
    'method': 'pidkd_jax.methods:method',
    'methods': 'pidkd_jax.methods',
    'models': 'pidkd_jax.models',
    'nn': 'pidkd_jax.nn',
    'train': 'pidkd_jax.experiment.distillation:train',
    'training': 'pidkd_jax.training',
  },
)
