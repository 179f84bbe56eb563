"""A linear probe: the accuracy of a linear classifier over a frozen encoder's features.

Source: CRD, arXiv:1910.10699, Sec. 4, where the classifier is trained on another dataset by SGD.
Here it is a logistic regression solved to its optimum, so a figure depends on no schedule and no
seed.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core import extras
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation import inference
from pidkd_jax.models.network import Network

# scikit-learn's C: the weight of the loss, summed over the images, beside half the squared norm.
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
  """Train a linear classifier on a network's features and return its top-1, in [0, 1].

  The features are the inputs of the network's own classifier: the spatial mean of its target map
  in inference mode. Each is standardised by the training images.

  Args:
    network: stays as it is.
    train: the classifier learns from it.
    test: the classifier is judged on it.
    image_shape: (H, W, C) of the images that the network was trained with; `adapt` changes other
      images to it.
    normalisation: the one that the network was trained with.

  Raises:
    UserError: the images cannot be adapted, or the features are not finite.
  """
  # Late: scikit-learn takes seconds to import, and most runs do not need it.
  with extras.needed('a linear probe'):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

  adapted = functools.partial(adapt, image_shape=image_shape)
  train_features, test_features = (
    inference.pooled(network, inference.eval_batches(split, normalisation, adapted))
    for split in (train, test)
  )
  if not (np.isfinite(train_features).all() and np.isfinite(test_features).all()):
    raise UserError('a network gives features that are not finite; it cannot be probed')
  classifier = make_pipeline(
    StandardScaler(),
    LogisticRegression(C=INVERSE_PENALTY, solver='lbfgs', max_iter=_MAX_STEPS),
  )
  classifier.fit(train_features.astype(np.float64), train.labels)
  return float(classifier.score(test_features.astype(np.float64), test.labels))


def adapt(images: jax.Array, image_shape: tuple[int, int, int]) -> jax.Array:
  """Change images to another shape, uint8 [N, h, w, c] -> uint8 [N, H, W, C].

  Sizes change by bilinear interpolation, antialiased where images shrink, and pixels are rounded to
  whole levels. A single channel is repeated. Several channels become one by their mean.

  Args:
    images: to change.
    image_shape: (H, W, C), the new shape.

  Raises:
    UserError: the images have several channels, and another number of several is asked.

  Example:
    >>> adapt(jnp.zeros((2, 8, 8, 1), jnp.uint8), (32, 32, 3)).shape
    (2, 32, 32, 3)
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
  return _resize(images, height, width, channels)


@jax.jit(static_argnums=(1, 2, 3))
def _resize(images: jax.Array, height: int, width: int, channels: int) -> jax.Array:
  images = images.astype(jnp.float32)
  if channels < images.shape[3]:
    images = jnp.mean(images, axis=3, keepdims=True)
  images = jax.image.resize(
    images, (len(images), height, width, images.shape[3]), 'bilinear', antialias=True
  )
  images = jnp.broadcast_to(images, (*images.shape[:3], channels))
  return jnp.clip(jnp.round(images), 0, 255).astype(jnp.uint8)
