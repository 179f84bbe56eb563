"""The networks of other libraries, recognised by the names and shapes in a state dict.

Few of them are built in. A user who brings another learns what it is, not only what does not fit.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping

import numpy as np

# {PyTorch's key: array}.
_State = Mapping[str, np.ndarray]

_TORCHVISION, _TIMM = "torchvision's", "timm's"
_HUGGING_FACE = "Hugging Face transformers'"
# {owner: what a user can do whose file cannot be read by any name}.
_REMEDIES = {
  _HUGGING_FACE: (
    "its keys are not read; take the weights from timm, or rename the keys to timm's, and import "
    'them by --model timm/NAME (docs/how-to/teachers.md)'
  )
}


@dataclasses.dataclass(frozen=True)
class _Layout:
  """The names of a family of networks in a library.

  Attributes:
    owner: whose names these are.
    marks: patterns of keys, each of which a network of the family has.
    name: returns the network's name, or the family's.
    stem: pattern of the key of the first convolution.
    classifier: pattern of the key of the last linear layer.
    shared: whose networks have the same names.
  """

  owner: str
  marks: tuple[str, ...]
  name: Callable[[_State], str]
  stem: str
  classifier: str
  shared: str = ''

  def is_of(self, state: _State) -> bool:
    return all(_keys(state, mark) for mark in self.marks)

  def text(self, state: _State) -> str:
    """Return whose network it is, with its stem and its classes."""
    facts = []
    for key in _keys(state, self.stem)[:1]:
      if state[key].ndim == 4:
        facts.append(f'a stem of {"x".join(map(str, state[key].shape[2:]))}')
    for key in _keys(state, self.classifier)[:1]:
      facts.append(f'{len(state[key]):,} classes')
    also = f' ({self.shared} has the same names)' if self.shared else ''
    return ', '.join([f'{self.owner} {self.name(state)}{also}', *facts])


def find(state: _State) -> str:
  """Return whose network a state dict is, or '' for networks that are not known here.

  Example:
    >>> find({'conv_stem.weight': np.zeros((32, 3, 3, 3)), 'blocks.0.0.bn1.bias': np.zeros(32)})
    "timm's efficientnet or mobilenet, a stem of 3x3"
  """
  return next((layout.text(state) for layout in _LAYOUTS if layout.is_of(state)), '')


def remedy(state: _State) -> str:
  """Return the remedy for a file of this layout, or '' where the usual one holds."""
  owner = next((layout.owner for layout in _LAYOUTS if layout.is_of(state)), '')
  return _REMEDIES.get(owner, '')


def _keys(state: _State, pattern: str) -> list[str]:
  return [key for key in state if re.fullmatch(pattern, key)]


def _count(state: _State, pattern: str) -> int:
  """Return how many different numbers a pattern's group has."""
  return len({match[1] for key in state if (match := re.match(pattern, key))})


def _named(name: str) -> Callable[[_State], str]:
  return lambda state: name


def _resnet(state: _State) -> str:
  blocks = tuple(_count(state, rf'layer{stage}\.(\d+)\.') for stage in range(1, 5))
  deep = 'layer1.0.conv3.weight' in state
  depth = 2 + (3 if deep else 2) * sum(blocks)
  kernel = state.get('layer1.0.conv2.weight')
  if not deep or kernel is None or kernel.ndim != 4:
    return f'resnet{depth}'
  width, inputs = kernel.shape[:2]
  if inputs < width:
    return f'resnext{depth}_{width // inputs}x{inputs}d'
  return f'wide_resnet{depth}_{width // 64}' if width > 64 else f'resnet{depth}'


def _vgg(state: _State) -> str:
  layers = sum(bool(re.match(r'features\.', key)) and state[key].ndim == 4 for key in state)
  norm = '_bn' if _keys(state, r'features\.\d+\.running_mean') else ''
  return f'vgg{layers + 3}{norm}' if layers > 7 else 'vgg'


def _densenet(state: _State) -> str:
  layers = sum(
    _count(state, rf'features\.denseblock{block}\.denselayer(\d+)\.') for block in range(1, 5)
  )
  return f'densenet{2 * layers + 5}'


def _vit(blocks: str, patch: str) -> Callable[[_State], str]:
  """Return a function from a state dict to a vision transformer's name.

  Args:
    blocks: pattern of the keys of its blocks, with their number as its group.
    patch: pattern of the key of the first kernel.
  """

  def name(state: _State) -> str:
    [kernel] = [state[key] for key in _keys(state, patch)][:1] or [np.empty(0)]
    width = kernel.shape[0]
    size = {192: '_tiny', 384: '_small', 768: '_base', 1024: '_large', 1280: '_huge'}.get(width, '')
    side = f'_patch{kernel.shape[-1]}' if kernel.ndim == 4 else ''
    return f'vit{size}{side}, a transformer of {_count(state, blocks)} blocks'

  return name


_LAYOUTS = (
  _Layout(
    _TORCHVISION,
    (r'conv1\.weight', r'layer4\.0\.conv2\.weight', r'layer2\.0\.downsample\.0\.weight'),
    _resnet,
    r'conv1\.weight',
    r'fc\.weight',
    _TIMM,
  ),
  _Layout(
    _TIMM,
    (r'conv1\.0\.weight', r'bn1\.weight', r'layer4\.0\.conv2\.weight'),
    lambda state: f'{_resnet(state)} with a stem of several layers',
    r'conv1\.0\.weight',
    r'fc\.weight',
  ),
  _Layout(
    "pytorch-cifar100's",
    (r'conv1\.0\.weight', r'conv2_x\.0\.residual_function\.0\.weight'),
    _named('resnet'),
    r'conv1\.0\.weight',
    r'fc\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'features\.denseblock1\.denselayer1\.conv1\.weight',),
    _densenet,
    r'features\.conv0\.weight',
    r'classifier\.weight',
    _TIMM,
  ),
  _Layout(
    _TORCHVISION,
    (r'features\.0\.weight', r'features\.3\.squeeze\.weight|features\.4\.squeeze\.weight'),
    _named('squeezenet'),
    r'features\.0\.weight',
    r'classifier\.1\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'features\.0\.weight', r'classifier\.1\.weight', r'classifier\.6\.weight'),
    _named('alexnet'),
    r'features\.0\.weight',
    r'classifier\.6\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'features\.0\.weight', r'classifier\.6\.weight'),
    _vgg,
    r'features\.0\.weight',
    r'classifier\.6\.weight',
  ),
  _Layout(
    _TIMM,
    (r'features\.0\.weight', r'pre_logits\.fc1\.weight'),
    _vgg,
    r'features\.0\.weight',
    r'head\.fc\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'features\.0\.0\.weight', r'features\.1\.conv\.0\.0\.weight'),
    _named('mobilenet_v2'),
    r'features\.0\.0\.weight',
    r'classifier\.1\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'features\.0\.0\.weight', r'features\.1\.block\.0\.0\.weight', r'classifier\.3\.weight'),
    _named('mobilenet_v3'),
    r'features\.0\.0\.weight',
    r'classifier\.3\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'features\.0\.0\.weight', r'features\.1\.0\.block\.0\.0\.weight'),
    _named('efficientnet'),
    r'features\.0\.0\.weight',
    r'classifier\.1\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'features\.0\.0\.weight', r'features\.1\.0\.layer_scale'),
    _named('convnext'),
    r'features\.0\.0\.weight',
    r'classifier\.2\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'features\.0\.0\.weight', r'features\.1\.0\.attn\.qkv\.weight'),
    _named('swin'),
    r'features\.0\.0\.weight',
    r'head\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'conv1\.0\.weight', r'stage2\.0\.branch1\.0\.weight'),
    _named('shufflenet_v2'),
    r'conv1\.0\.weight',
    r'fc\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'Conv2d_1a_3x3\.conv\.weight', r'Mixed_5b\..*'),
    _named('inception_v3'),
    r'Conv2d_1a_3x3\.conv\.weight',
    r'fc\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'conv1\.conv\.weight', r'inception3a\..*'),
    _named('googlenet'),
    r'conv1\.conv\.weight',
    r'fc\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'stem\.0\.weight', r'trunk_output\.block1\..*'),
    _named('regnet'),
    r'stem\.0\.weight',
    r'fc\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'layers\.0\.weight', r'layers\.8\.0\.layers\.0\.weight'),
    _named('mnasnet'),
    r'layers\.0\.weight',
    r'classifier\.1\.weight',
  ),
  _Layout(
    _TORCHVISION,
    (r'conv_proj\.weight', r'encoder\.layers\.encoder_layer_0\..*'),
    _vit(r'encoder\.layers\.encoder_layer_(\d+)\.', r'conv_proj\.weight'),
    r'conv_proj\.weight',
    r'heads\.head\.weight',
  ),
  _Layout(
    _TIMM,
    (r'patch_embed\.proj\.weight', r'blocks\.0\.attn\.qkv\.weight'),
    _vit(r'blocks\.(\d+)\.', r'patch_embed\.proj\.weight'),
    r'patch_embed\.proj\.weight',
    r'head\.weight',
  ),
  _Layout(
    _TIMM,
    (r'patch_embed\.proj\.weight', r'layers\.0\.blocks\.0\.attn\.qkv\.weight'),
    _named('swin'),
    r'patch_embed\.proj\.weight',
    r'head\.(fc\.)?weight',
  ),
  _Layout(
    _TIMM,
    (r'stem\.0\.weight', r'stages\.0\.blocks\.0\.conv_dw\.weight'),
    _named('convnext'),
    r'stem\.0\.weight',
    r'head\.fc\.weight',
  ),
  _Layout(
    _TIMM,
    (r'conv_stem\.weight', r'blocks\.0\.0\..*'),
    _named('efficientnet or mobilenet'),
    r'conv_stem\.weight',
    r'classifier\.weight',
  ),
  _Layout(
    _TIMM,
    (r'stem\.conv\.weight', r's1\.b1\.conv1\.conv\.weight'),
    _named('regnet'),
    r'stem\.conv\.weight',
    r'head\.fc\.weight',
  ),
  _Layout(
    _HUGGING_FACE,
    (
      r'(\w+\.)?embeddings\.patch_embeddings\.projection\.weight',
      r'(\w+\.)?encoder\.layer\.0\.attention\..*',
    ),
    _vit(
      r'(?:\w+\.)?encoder\.layer\.(\d+)\.',
      r'(\w+\.)?embeddings\.patch_embeddings\.projection\.weight',
    ),
    r'(\w+\.)?embeddings\.patch_embeddings\.projection\.weight',
    r'classifier\.weight',
  ),
  _Layout(
    _HUGGING_FACE,
    (r'(\w+\.)?embedder\.embedder\.convolution\.weight', r'(\w+\.)?encoder\.stages\.0\..*'),
    _named('resnet'),
    r'(\w+\.)?embedder\.embedder\.convolution\.weight',
    r'classifier\.1\.weight',
  ),
)
