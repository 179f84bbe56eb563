"""The recipe of a training, with the published values as defaults."""

import dataclasses

from pidkd_jax.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Recipe:
  """The settings that all members of a cohort share.

  The defaults are the CIFAR-100 recipe of RepDistiller, mdistiller and SimKD.

  Attributes:
    total_epochs: length of the training.
    batch_size: images in a batch.
    momentum: SGD's; of 'adamw' the decay of the first moment.
    drops: fractions of the training after which the learning rate drops. The defaults are 150, 180
      and 210 of 240 epochs.
    drop_factor: factor by which a drop multiplies the learning rate.
    precision: a name in `nn.precision.PRECISIONS`.
    optimizer: a name in `optimizer.RULES`.
    schedule: of the learning rate, a name in `optimizer.SCHEDULES`; 'cosine' reads no drops.
    warmup: share of the training in which the learning rate rises linearly, before the schedule.
    clip_norm: longest gradient, over all parameters of a member; a longer one is scaled to it. 0
      for no limit.
    label_smoothing: share of each label that all classes get alike, in the cross-entropy.
    mixup: alpha of mixup; 0 for none (`data.pipeline.soft_labels`).
    cutmix: alpha of CutMix; 0 for none.
    augment: random operations on images, a name in `nn.image_policies.POLICIES`.
    augment_operations: of 'rand', for an image.
    augment_magnitude: of 'rand', 0 to 30.
    accumulation: parts of a batch, whose gradients are averaged before a step; 1 for the whole. It
      saves an accelerator's memory. Losses that compare images compare those of a part.
    ema: decay, for a step, of an exponential moving average of the weights; 0 for none. The average
      is evaluated and deployed.
  """

  total_epochs: int = 240
  batch_size: int = 64
  momentum: float = 0.9
  drops: tuple[float, ...] = (0.625, 0.75, 0.875)
  drop_factor: float = 0.1
  precision: str = 'float32'
  optimizer: str = 'sgd'
  schedule: str = 'drops'
  warmup: float = 0.0
  clip_norm: float = 0.0
  label_smoothing: float = 0.0
  mixup: float = 0.0
  cutmix: float = 0.0
  augment: str = 'none'
  augment_operations: int = 2
  augment_magnitude: int = 9
  accumulation: int = 1
  ema: float = 0.0

  def steps_per_epoch(self, num_examples: int) -> int:
    """Return the number of full batches in an epoch.

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
  """The optimizer's numbers of one member, with the published values as defaults.

  Attributes:
    learning_rate: at the start; 0.01 is published for MobileNetV2 and ShuffleNets.
    weight_decay: on every parameter, those of norms included. SGD adds it to the gradient; AdamW
      takes it from the parameters.
  """

  learning_rate: float = 0.05
  weight_decay: float = 5e-4
