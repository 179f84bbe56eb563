"""What the members of a cohort share, with the published values as defaults."""

import dataclasses

from pidkd_jax.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Recipe:
  """The CIFAR-100 recipe of RepDistiller, mdistiller and SimKD.

  Attributes:
    total_epochs: 240.
    batch_size: 64.
    momentum: of SGD, 0.9, not Nesterov's.
    drops: fractions of the training after which the learning rate drops; 150, 180 and 210
      of 240 epochs.
    drop_factor: what a drop multiplies it by.
    precision: a name in `precision.PRECISIONS`; 'float32'.
  """

  total_epochs: int = 240
  batch_size: int = 64
  momentum: float = 0.9
  drops: tuple[float, ...] = (0.625, 0.75, 0.875)
  drop_factor: float = 0.1
  precision: str = 'float32'

  def steps_per_epoch(self, num_examples: int) -> int:
    """Full batches in an epoch.

    Raises:
      UserError: the batch size is not between 1 and the number of examples.
    """
    if not 1 <= self.batch_size <= num_examples:
      raise UserError(
        f'batch_size is {self.batch_size}; the training split of {num_examples} images '
        f'allows 1 to {num_examples}'
      )
    return num_examples // self.batch_size


@dataclasses.dataclass(frozen=True)
class OptimizerHparams:
  """A member's own numbers, with the published values as defaults.

  Attributes:
    learning_rate: 0.05 (0.01 for MobileNetV2 and ShuffleNets).
    weight_decay: 5e-4, on every parameter.
  """

  learning_rate: float = 0.05
  weight_decay: float = 5e-4
