"""MLKD: logits agree for each image, between images and between classes, in two views.

The weak view is the batch. The strong view is the batch after RandAugment, and the teacher sees it
too.

Loss: label_weight * CE of both views + weight * the sum, over five temperatures T, of

    m KD             of the weak view
    KD               of the strong view, or of the weak one where T is 2 or 6
    m |PP' - QQ'|^2 / B     of the weak view: products between images
    c |P'P - Q'Q|^2 / K     of the weak view: products between classes

where P and Q are probabilities [B, K] of teacher and student. m is the share of images of which
the teacher is at most as sure as of the median image. c is the share of classes whose
probabilities in the batch add up to at most the median. Both are about 1/2.

Source: Jin et al. 2023, "Multi-level logit distillation", CVPR, and the authors' code for
CIFAR-100. Logit standardisation: Sun et al. 2024, arXiv:2403.01427.

Departures: the authors crop and flip the strong view anew, draw a magnitude for each operation,
and cut out a box. Here both views have one crop and flip, the magnitude is fixed, and no box is cut
out. The file follows the authors' code where it differs from their idea: masks by confidence
multiply means, so only m and c are left of them, and the strong view is left out at T = 2 and 6.
"""

import jax
import jax.numpy as jnp

from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses
from pidkd_jax.nn.image_policies import RandAugment, strong_view

# The arguments of the authors' RandAugment.
_STRONG = RandAugment(operations=2, magnitude=10)
# The temperatures beside the field. At the last two the strong view is left out.
_TEMPERATURES = (3.0, 5.0, 2.0, 6.0)
_WITHOUT_STRONG = 2


class MLKD(Method):
  """Multi-level logit distillation, with the defaults of the authors' code.

  Attributes:
    weight: of everything but the cross-entropy. The products between classes grow as (B / K)^2, so
      few classes need a lower one.
    label_weight: of the cross-entropy, which adds up over both views.
    temperature: the first of five; the others are 2, 3, 5 and 6.
    standardize: whether KD sees standardised logits (`losses.standardize`); the products never do.
      It needs three classes.
  """

  weight: float = 0.9
  label_weight: float = 0.1
  temperature: float = 4.0
  standardize: bool = False

  def loss(self, batch, teacher, *, progress):
    del progress
    seen = strong_view(
      self.make_rng('method'), batch.seen, self.dataset.normalisation, policy=_STRONG
    )
    views = batch.image, resized(seen, batch.image.shape)
    weak, strong = (self.student(view, train=True) for view in views)
    network = teacher.network
    taught, taught_strong = teacher.logits, network.classify(network.encode(seen).pooled)
    labels = losses.cross_entropy(weak, batch.target) + losses.cross_entropy(strong, batch.target)
    temperatures = jnp.array([self.temperature, *_TEMPERATURES])
    of_weak = self._divergences(weak, taught, temperatures)
    of_strong = self._divergences(strong, taught_strong, temperatures[:-_WITHOUT_STRONG])
    images, classes = jax.vmap(products, (None, None, 0))(weak, taught, temperatures)
    confidence = jax.nn.softmax(taught)
    unsure = lower_share(jnp.max(confidence, axis=1))
    rare = lower_share(jnp.sum(confidence, axis=0))
    repeated = jnp.sum(of_weak[-_WITHOUT_STRONG:], axis=0) + jnp.sum(of_strong, axis=0)
    divergence = unsure * jnp.sum(of_weak, axis=0) + repeated
    return {
      'cross_entropy': self.label_weight * labels,
      'soft_target': self.weight * divergence,
      'between_images': self.weight * unsure * jnp.sum(images),
      'between_classes': self.weight * rare * jnp.sum(classes),
    }

  def _divergences(
    self, logits: jax.Array, teacher: jax.Array, temperatures: jax.Array
  ) -> jax.Array:
    """Compute KD at each of T temperatures, two [B, K] -> [T, B]."""
    if self.standardize:
      logits, teacher = map(losses.standardize, (logits, teacher))
    return jax.vmap(losses.soft_targets, (None, None, 0))(logits, teacher, temperatures)


class StandardizedMLKD(MLKD):
  """MLKD whose KD sees standardised logits, with the defaults of that authors' script.

  Attributes:
    weight: ten times the weight without standardisation.
    temperature: the first of five; the others are 2, 3, 5 and 6, so 2 counts twice.
  """

  weight: float = 9.0
  temperature: float = 2.0
  standardize: bool = True


def products(
  logits: jax.Array, teacher: jax.Array, temperature: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Compare products of probabilities, between images and between classes.

  Args:
    logits: [B, K], the student's.
    teacher: [B, K], the teacher's.
    temperature: divides both logits.

  Returns:
    The two sums of squared differences, one divided by B and the other by K.
  """
  student, target = (jax.nn.softmax(each / temperature) for each in (logits, teacher))
  images = target @ target.T - student @ student.T
  classes = target.T @ target - student.T @ student
  return jnp.sum(images**2) / len(images), jnp.sum(classes**2) / len(classes)


def lower_share(x: jax.Array) -> jax.Array:
  """Return the share of a vector's values that do not exceed the median."""
  return jnp.mean(x <= jnp.median(x), dtype=x.dtype)


def resized(images: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Bring the teacher's images to the student's size, where the sizes differ."""
  if images.shape == shape:
    return images
  return jax.image.resize(images, shape, 'linear', precision=jax.lax.Precision.HIGHEST)


METHODS = {'mlkd': MLKD, 'mlkd_standardized': StandardizedMLKD}
