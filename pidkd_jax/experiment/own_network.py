"""The checks of a network that the user wrote, before it trains; shapes are enough for them."""

import logging

import jax

from pidkd_jax import models
from pidkd_jax.core.errors import UserError
from pidkd_jax.models.base import Model
from pidkd_jax.models.network import Network

logger = logging.getLogger(__name__)


def check(name: str, model: Model, image: jax.ShapeDtypeStruct, num_classes: int) -> None:
  """Check the width of a network's logits, and warn where bfloat16 does not reach its maps.

  Networks of this package pass unseen.

  Args:
    name: of the network, for messages.
    model: the network.
    image: shape and type of a training image, [1, H, W, C].
    num_classes: of the data.

  Raises:
    UserError: the network has another number of logits than the data have classes.
  """
  if not models.families(model):
    return
  network = Network.shapes(model, image.shape[1:])
  features = jax.eval_shape(Network.encode, network, image)
  logits = jax.eval_shape(Network.classify, network, features.pooled)
  if logits.shape != (1, num_classes):
    raise UserError(
      f'{name} gives logits {list(logits.shape)} of one image, and the data have {num_classes} '
      'classes; let its classifier have `num_classes` outputs'
    )
  odd = {str(stage.dtype) for stage in features.stages if stage.dtype != image.dtype}
  if odd:
    logger.warning(
      '%s computes in %s although precision is %s: its layers follow the type of their parameters; '
      'build it of kd.nn, or give its layers promote_dtype=pidkd_jax.nn.layers.promote_to_input',
      name,
      ' and '.join(sorted(odd)),
      image.dtype,
    )
