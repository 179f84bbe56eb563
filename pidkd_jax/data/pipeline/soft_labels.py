"""Soft labels: smoothed ones, and those of images that are mixtures of two."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

# (key, (H, W), share) -> float32 [H, W] or scalar, the weight of an image; its partner has the
# rest.
Mask = Callable[[jax.Array, tuple[int, int], jax.Array], jax.Array]


def _whole(key: jax.Array, size: tuple[int, int], share: jax.Array) -> jax.Array:
  del key, size
  return share


def _box(key: jax.Array, size: tuple[int, int], share: jax.Array) -> jax.Array:
  """Weigh a box by 0, and what lies around it by 1.

  The box has `1 - share` of the area, the image's aspect and a uniform centre. The image's edge
  cuts it off.
  """
  centres = jax.random.uniform(key, (2,)) * jnp.array(size)
  inside = []
  for pixels, centre in zip(size, centres, strict=True):
    half = jnp.round(pixels * jnp.sqrt(1 - share)) / 2
    first, end = jnp.round(centre - half), jnp.round(centre + half)
    place = jnp.arange(pixels)
    inside.append((place >= first) & (place < end))
  return 1 - jnp.outer(*inside).astype(jnp.float32)


# {a field of `SoftLabels`: how it weighs two images}.
MASKS: Mapping[str, Mask] = {'mixup': _whole, 'cutmix': _box}


@dataclasses.dataclass(frozen=True)
class SoftLabels:
  """Makes probabilities of a batch's labels, and mixes its images.

  Each image is mixed with one that a random permutation of the batch gives it. All images of a
  batch have one share, as in the authors' code, drawn from the distribution Beta(alpha, alpha).

  Sources: label smoothing, Szegedy et al. 2016, arXiv:1512.00567, Sec. 7; mixup, Zhang et al. 2018,
  arXiv:1710.09412; CutMix, Yun et al. 2019, arXiv:1905.04899.

  Attributes:
    num_classes: K.
    smoothing: the share of a label that all classes get alike; 0 for none.
    mixup: alpha of the weighted mean of two images; 0 for none.
    cutmix: alpha of a box of one image in another; 0 for none. With mixup, each batch takes either,
      with equal chance.
  """

  num_classes: int
  smoothing: float = 0.0
  mixup: float = 0.0
  cutmix: float = 0.0

  @property
  def alphas(self) -> dict[str, float]:
    """{name in `MASKS`: alpha}, of what is in use."""
    return {name: getattr(self, name) for name in MASKS if getattr(self, name)}

  @property
  def is_used(self) -> bool:
    """Whether anything differs from one class an image."""
    return bool(self.smoothing or self.alphas)

  def __call__(
    self, key: jax.Array, image: jax.Array, label: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Return the images, and the probabilities of their classes.

    Args:
      key: PRNG key.
      image: float [B, H, W, C].
      label: int32 [B].

    Returns:
      [B, H, W, C], and float32 [B, K] whose rows sum to 1.
    """
    soft = optax.smooth_labels(jax.nn.one_hot(label, self.num_classes), self.smoothing)
    if not self.alphas:
      return image, soft
    choice_key, partner_key, share_key, mask_key = jax.random.split(key, 4)
    _, height, width, _ = image.shape
    size = height, width
    masks = []
    for name, alpha in self.alphas.items():
      share = jax.random.beta(share_key, alpha, alpha)
      masks.append(jnp.broadcast_to(MASKS[name](mask_key, size, share), size))
    mask = jnp.stack(masks)[jax.random.randint(choice_key, (), 0, len(masks))]
    # The exact area of a box that pixels and edges change.
    share = jnp.mean(mask)
    partner = jax.random.permutation(partner_key, len(label))
    return _weighted(mask[:, :, None], image, partner), _weighted(share, soft, partner)


def _weighted(weight: jax.Array, values: jax.Array, partner: jax.Array) -> jax.Array:
  return weight * values + (1 - weight) * values[partner]
