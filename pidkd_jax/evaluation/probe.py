"""A linear probe: how much a frozen encoder's features say about another dataset's classes.

Source: CRD, arXiv:1910.10699, Sec. 4, where a linear classifier is trained on another dataset over
features that stay as they are. There it is trained by SGD; here it is a logistic regression solved
to its optimum, so that a figure depends on no schedule and no seed.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Network
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import inference

# scikit-learn's: the weight of the loss, summed over the images, beside half the squared norm.
INVERSE_PENALTY = 1.0

# Standardised features take some tens to hundreds of steps.
_MAX_STEPS = 5000


def probe(
  network: Network,
  train: Split,
  test: Split,
  image_shape: tuple[int, int, int],
  normalisation: Normalisation,
) -> float:
  """The top-1, in [0, 1], of a linear classifier on the features that the network's own one reads.

  The features are the spatial mean of its target map in inference mode; each is standardised by
  the training images.

  Args:
    network: stays as it is.
    train: what the classifier learns from.
    test: what it is judged on.
    image_shape: (H, W, C) of the images that the network was trained with; others are made so
      (`adapt`).
    normalisation: the one that the network was trained with.

  Raises:
    UserError: the images cannot be made so, or the features are not finite.
  """
  # Only here: scikit-learn takes seconds to import, and most runs need none.
  from sklearn.linear_model import LogisticRegression
  from sklearn.pipeline import make_pipeline
  from sklearn.preprocessing import StandardScaler

  shaped = functools.partial(adapt, image_shape=image_shape)
  seen, unseen = (
    inference.pooled(network, inference.eval_split(examples, normalisation, shaped))
    for examples in (train, test)
  )
  if not (np.isfinite(seen).all() and np.isfinite(unseen).all()):
    raise UserError('a network gives features that are not finite; it cannot be probed')
  classifier = make_pipeline(
    StandardScaler(),
    LogisticRegression(C=INVERSE_PENALTY, solver='lbfgs', max_iter=_MAX_STEPS),
  )
  classifier.fit(seen.astype(np.float64), train.labels)
  return float(classifier.score(unseen.astype(np.float64), test.labels))


def adapt(images: jax.Array, image_shape: tuple[int, int, int]) -> jax.Array:
  """Images in another shape, uint8 [N, h, w, c] -> uint8 [N, H, W, C].

  Sizes change by bilinear interpolation, smoothed where it reduces, and to whole levels, as images
  are stored. One channel is repeated; several become their mean where one is asked.

  Raises:
    UserError: there are several channels and several others are asked.
  """
  height, width, channels = image_shape
  if images.shape[1:] == (height, width, channels):
    return images
  given = images.shape[3]
  if channels != given and 1 not in (channels, given):
    raise UserError(
      f'images of {given} channels cannot be shown to a network for {channels}; a dataset of 1 or '
      f'{channels} can'
    )
  return _resized(images, height, width, channels)


@jax.jit(static_argnums=(1, 2, 3))
def _resized(images: jax.Array, height: int, width: int, channels: int) -> jax.Array:
  images = images.astype(jnp.float32)
  if channels < images.shape[3]:
    images = jnp.mean(images, axis=3, keepdims=True)
  images = jax.image.resize(
    images, (len(images), height, width, images.shape[3]), 'bilinear', antialias=True
  )
  images = jnp.broadcast_to(images, (*images.shape[:3], channels))
  return jnp.clip(jnp.round(images), 0, 255).astype(jnp.uint8)
