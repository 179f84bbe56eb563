"""Projector-integration knowledge distillation with a shared classifier, in JAX and Flax.

    student = pidkd_jax.load('runs/cifar100/bundles/pidkd-0')
    probabilities = student.predict(images)

Source: Zuo et al. 2024, Complex & Intelligent Systems 10:4521-4533,
doi:10.1007/s40747-024-01394-3.
"""

__version__ = '0.1.0'


def load(folder, own=()):
  """A bundle in use: `predict`, `top`, `class_names` (`predictor.Predictor`).

  Args:
    folder: of the bundle.
    own: the classes of networks of your own that it may hold.

  Raises:
    pidkd_jax.core.errors.UserError: the folder is missing, incomplete, altered, or of no network known
      here.
  """
  from pidkd_jax.bundles import predictor  # Importing this package alone imports no JAX.

  return predictor.load(folder, own)
