"""ViT and DeiT: transformers on patches of the image, with a class token that is classified.

Names, parameters and outputs are timm's. `vit_tiny_patch4_32` is this package's, for 32x32. DeiT
has the form of ViT; its distillation token is left out.

Source: Dosovitskiy et al. 2021, arXiv:2010.11929, Sec. 3.1; sizes -tiny and -small are those of
Touvron et al. 2021, arXiv:2012.12877, Table 1.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.core.types import Features
from pidkd_jax.models.base import Model, pool
from pidkd_jax.nn import resize
from pidkd_jax.nn.initializers import normal_of, pytorch_default, pytorch_default_bias
from pidkd_jax.nn.layer_norm import LayerNorm
from pidkd_jax.nn.layers import Classifier, conv
from pidkd_jax.nn.mlp import Mlp, dense

_EXPANSION = 4
_STAGES = 4


class Embedding(nn.Module):
  """Embed patches, put the class token before them, and add the embeddings of positions.

  Positions are held for the grid of one image size. For another grid they are resampled: by cubic
  convolution, averaged where the grid is coarser, as in timm.

  Attributes:
    features: C, channels of a token.
    patch: side of a patch. An image that patches do not fill is filled up with zeros at its right
      and lower edge.
    grid: patches along each side of the image that the positions are held for.
  """

  features: int
  patch: int
  grid: int

  @nn.compact
  def __call__(self, image: jax.Array) -> tuple[jax.Array, tuple[int, int]]:
    """[B, H, W, 3] -> tokens [B, 1 + h w, C], (h, w)."""
    missing = [-side % self.patch for side in image.shape[1:3]]
    image = jnp.pad(image, ((0, 0), *((0, count) for count in missing), (0, 0)))
    projection = conv(
      self.features,
      self.patch,
      self.patch,
      bias=True,
      padding=0,
      kernel_init=pytorch_default,
      bias_init=pytorch_default_bias(self.patch**2 * image.shape[-1]),
      name='projection',
    )
    patches = projection(image)
    batch, *_, channels = patches.shape
    grid = patches.shape[1], patches.shape[2]
    token = self.param('class_token', normal_of(1e-6), (1, 1, channels))
    shape = (1, 1 + self.grid**2, channels)
    position = self._resampled(self.param('position', normal_of(0.02), shape), grid)
    tokens = jnp.concatenate(
      [
        jnp.broadcast_to(token.astype(patches.dtype), (batch, 1, channels)),
        patches.reshape(batch, -1, channels),
      ],
      axis=1,
    )
    return tokens + position.astype(patches.dtype), grid

  def _resampled(self, position: jax.Array, grid: tuple[int, int]) -> jax.Array:
    """Return the embeddings of positions on another grid, [1, 1 + n, C] -> [1, 1 + h w, C]."""
    if grid == (self.grid, self.grid):
      return position
    channels = position.shape[-1]
    held = position[:, 1:].reshape(self.grid, self.grid, channels)
    resampled = resize.cubic_to(held, grid)
    return jnp.concatenate([position[:, :1], resampled.reshape(1, -1, channels)], axis=1)


class Attention(nn.Module):
  """Self-attention of several heads, [B, T, C] -> [B, T, C].

  Attributes:
    heads: the number of heads.
  """

  heads: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    batch, length, channels = x.shape
    parts = dense(3 * channels, name='qkv')(x).reshape(batch, length, 3, self.heads, -1)
    y = jax.nn.dot_product_attention(parts[:, :, 0], parts[:, :, 1], parts[:, :, 2])
    return dense(channels, name='projection')(y.reshape(x.shape))


class Block(nn.Module):
  """Attention and a perceptron, each behind a LayerNorm and with a shortcut.

  Attributes:
    heads: the number of heads of the attention.
  """

  heads: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, T, C] -> [B, T, C]."""
    x = x + Attention(self.heads, name='attention')(LayerNorm(name='norm1')(x))
    mlp = Mlp(_EXPANSION * x.shape[-1], name='mlp')
    return x + mlp(LayerNorm(name='norm2')(x))


class ViT(Model):
  """Vision transformer. Its target map is the class token behind the last norm, [B, 1, 1, C].

  The stem's map holds the embedded patches. The blocks make four stages of about equally many, and
  a stage's map holds its last block's patches. A student distils from the last map behind the
  norm.

  Attributes:
    patch: side of a patch in pixels.
    width: channels of a token, a multiple of `heads`.
    layers: the number of blocks.
    heads: of each attention.
    image_size: side of the image that positions are held for, a multiple of `patch`. For images
      of other sizes the positions are resampled.
  """

  patch: int
  width: int
  layers: int
  heads: int
  image_size: int

  rectified = False

  def setup(self):
    if self.image_size % self.patch or self.image_size < self.patch:
      raise ValueError(f'image_size is {self.image_size}, no multiple of the patch {self.patch}')
    if self.width % self.heads:
      raise ValueError(f'width is {self.width}, no multiple of {self.heads} heads')
    self.embedding = Embedding(self.width, self.patch, self.image_size // self.patch)
    self.blocks = [Block(self.heads, name=f'block{i + 1}') for i in range(self.layers)]
    self.norm = LayerNorm()
    self.classifier = Classifier(
      self.num_classes, kernel_init=normal_of(0.02), bias_init=nn.initializers.zeros
    )

  def tokens(self, image: jax.Array) -> tuple[list[jax.Array], tuple[int, int]]:
    """Return the stem's and each stage's tokens, [B, 1 + h w, C], and the patches' grid (h, w)."""
    x, grid = self.embedding(image)
    count = min(_STAGES, self.layers)
    ends = {round(stage * self.layers / count) for stage in range(1, count + 1)}
    found = [x]
    for number, block in enumerate(self.blocks, start=1):
      x = block(x)
      if number in ends:
        found.append(x)
    return found, grid

  def stages(self, image, train=False):
    del train
    return _maps(*self.tokens(image))

  def distillation_map(self, last, train=False):
    del train
    return self.norm(last)

  def head(self, last, train=False):
    raise NotImplementedError('a ViT classifies its class token, which is in none of its maps')

  def encode(self, image, train=False):
    del train
    tokens, grid = self.tokens(image)
    maps = _maps(tokens, grid)
    target = self.norm(tokens[-1][:, :1])[:, None]
    return Features(maps, maps, target, pool(target), self.rectified)

  def classify(self, pooled):
    return self.classifier(pooled)

  @nn.nowrap
  def widened(self, factor):
    return self.clone(width=self.heads * max(1, round(factor * self.width / self.heads)))


def _maps(tokens: list[jax.Array], grid: tuple[int, int]) -> tuple[jax.Array, ...]:
  """Return the patches among tokens as maps, each [B, h, w, C]."""
  return tuple(x[:, 1:].reshape(x.shape[0], *grid, x.shape[-1]) for x in tokens)


# {size: (channels, heads)}; all have 12 blocks.
_SIZES = {'tiny': (192, 3), 'small': (384, 6), 'base': (768, 12)}


def _family(size: str, patch: int, image_size: int) -> functools.partial:
  width, heads = _SIZES[size]
  return functools.partial(
    ViT, patch=patch, width=width, layers=12, heads=heads, image_size=image_size
  )


MODELS = {
  **{
    f'{name}_{size}_patch16_224': _family(size, 16, 224)
    for name in ('vit', 'deit')
    for size in _SIZES
  },
  'vit_tiny_patch4_32': _family('tiny', 4, 32),
}
