"""The random part of an image that a training sees."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.core.value import plain
from pidkd_jax.data.pipeline import augment
from pidkd_jax.experiment import check
from pidkd_jax.experiment import fields as table


@dataclasses.dataclass(frozen=True)
class Crops:
  """Random crops and flips of training images.

  Attributes:
    crop: 'pad' pads images with black and cuts each to its size at a random place; 'resized' takes
      a random part and resizes it, as is usual for photographs.
    crop_scale: of 'resized', the least and the largest share of the image's area.
    crop_aspect: of 'resized', the least and the largest width over height.
    padding: of 'pad', pixels on each side; None for the data set's own.
    flip: whether images are mirrored at random; None for the data set's own.

  Example:
    >>> Crops('resized', crop_scale=(0.35, 1.0)).flip is None
    True
  """

  crop: str = 'pad'
  crop_scale: tuple[float, float] = augment.ResizedCrop.scale
  crop_aspect: tuple[float, float] = augment.ResizedCrop.aspect
  padding: int | None = None
  flip: bool | None = None

  def fields(self, spec: DatasetSpec, prefix: str = '') -> Mapping[str, Any]:
    """Return the fields of an `Experiment` on a data set.

    Args:
      spec: of the data set.
      prefix: stands before the names of fields in errors.

    Raises:
      UserError: nobody can mean a value, or more is padded than the images have.
    """
    known = {field.name: field for field in table.FIELDS}
    found = {
      name: check.check_value(known[f'data.{name}'], prefix + name, getattr(self, name))
      for name in ('crop', 'crop_scale', 'crop_aspect')
    }
    for name, own in (('padding', spec.padding), ('flip', spec.flip)):
      value = getattr(self, name)
      found[name] = own if value is None else plain(own, prefix + name, value)
    most = min(spec.teacher_shape[:2])
    if not 0 <= found['padding'] <= most:
      raise UserError(
        f'{prefix}padding is {found["padding"]}; images of {spec.name} allow 0 to {most}, and its'
        f' own is {spec.padding}'
      )
    return found
