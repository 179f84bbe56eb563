"""PyTorch's names for the modules of each family.

RepDistiller, mdistiller and SimKD share these names, as far as each of them has the family.
"""

import functools
import re
from collections.abc import Callable, Mapping

# {a module's path in Flax: its name in PyTorch}. A ConvNorm has two names in PyTorch, its
# convolution's and its norm's.
_Names = Mapping[str, str | tuple[str, str]]
# (a pattern of the numbered part of a path in Flax, a function from these numbers to PyTorch's
# prefix, the modules within that part).
_Group = tuple[str, Callable[..., str], _Names]


def _whole(names: _Names) -> _Group:
  return '', lambda: '', names


def _layers(names: _Names) -> _Group:
  return r'stage(\d+)_block(\d+)/', lambda stage, block: f'layer{stage}.{block - 1}.', names


_BASIC = {'first': ('conv1', 'bn1'), 'second': ('conv2', 'bn2')}
_INVERTED_RESIDUAL = {'expand': ('0', '1'), 'depthwise': ('3', '4'), 'project': ('6', '7')}

# timm's, of MobileNetV3 and EfficientNet.
_SQUEEZE = {'squeeze/reduce': 'se.conv_reduce', 'squeeze/expand': 'se.conv_expand'}
_TIMM_ROWS: tuple[_Group, ...] = (
  (
    r'row(\d+)_block(\d+)/',
    lambda row, block: f'blocks.{row - 1}.{block - 1}.',
    _SQUEEZE
    | {
      'expand': ('conv_pw', 'bn1'),
      'depthwise': ('conv_dw', 'bn2'),
      'project': ('conv_pwl', 'bn3'),
    },
  ),
  (
    r'row(\d+)_separable(\d+)/',
    lambda row, block: f'blocks.{row - 1}.{block - 1}.',
    _SQUEEZE | {'depthwise': ('conv_dw', 'bn1'), 'project': ('conv_pw', 'bn2')},
  ),
)
_TIMM_ENDS = {'stem': ('conv_stem', 'bn1'), 'classifier/linear': 'classifier'}
_MOBILENETV3: tuple[_Group, ...] = (
  _whole(_TIMM_ENDS | {'hidden': 'conv_head'}),
  *_TIMM_ROWS,
  (r'row(\d+)_last', lambda row: f'blocks.{row - 1}.0.', {'': ('conv', 'bn1')}),
)
_EFFICIENTNET: tuple[_Group, ...] = (
  _whole(_TIMM_ENDS | {'last': ('conv_head', 'bn2')}),
  *_TIMM_ROWS,
)

_FAMILIES: Mapping[str, tuple[_Group, ...]] = {
  'ResNet': (
    _whole({'stem': ('conv1', 'bn1'), 'classifier/linear': 'fc'}),
    _layers(_BASIC | {'shortcut': ('downsample.0', 'downsample.1')}),
  ),
  'ImageNetResNet': (
    _whole({'stem': ('conv1', 'bn1'), 'classifier/linear': 'linear'}),
    _layers(_BASIC | {'third': ('conv3', 'bn3'), 'shortcut': ('shortcut.0', 'shortcut.1')}),
  ),
  'PhotographResNet': (
    _whole({'stem': ('conv1', 'bn1'), 'classifier/linear': 'fc'}),
    _layers(_BASIC | {'third': ('conv3', 'bn3'), 'shortcut': ('downsample.0', 'downsample.1')}),
  ),
  'WRN': (
    _whole({'stem': 'conv1', 'norm': 'bn1', 'classifier/linear': 'fc'}),
    (
      r'stage(\d+)_block(\d+)/',
      lambda stage, block: f'block{stage}.layer.{block - 1}.',
      {
        'norm1': 'bn1',
        'conv1': 'conv1',
        'norm2': 'bn2',
        'conv2': 'conv2',
        'shortcut': 'convShortcut',
      },
    ),
  ),
  'VGG': (
    _whole({'classifier/linear': 'classifier'}),
    # Each layer counts three modules: a convolution, a norm and an activation.
    (
      r'block(\d+)_layer(\d+)/conv',
      lambda block, layer: f'block{block - 1}.{3 * (layer - 1)}',
      {'': ''},
    ),
    (
      r'block(\d+)_layer(\d+)/norm',
      lambda block, layer: f'block{block - 1}.{3 * (layer - 1) + 1}',
      {'': ''},
    ),
  ),
  'MobileNetV2': (
    _whole(
      {
        'stem': ('conv1.0', 'conv1.1'),
        'last': ('conv2.0', 'conv2.1'),
        'classifier/linear': 'classifier.0',
      }
    ),
    (
      r'row(\d+)_block(\d+)/',
      lambda row, block: f'blocks.{row - 1}.{block - 1}.conv.',
      _INVERTED_RESIDUAL,
    ),
  ),
  'MobileNetV2TinyImageNet': (
    _whole(
      {
        'stem': ('pre.0', 'pre.1'),
        'last': ('conv1.0', 'conv1.1'),
        'classifier/linear': 'conv2',
      }
    ),
    # In rows of one block, the block has no number.
    (r'row([17])_block1/', lambda row: f'stage{row}.residual.', _INVERTED_RESIDUAL),
    (
      r'row(\d+)_block(\d+)/',
      lambda row, block: f'stage{row}.{block - 1}.residual.',
      _INVERTED_RESIDUAL,
    ),
  ),
  'MobileNetV3Small': _MOBILENETV3,
  'MobileNetV3Large': _MOBILENETV3,
  'EfficientNet': _EFFICIENTNET,
  'EfficientNetLite': _EFFICIENTNET,
  'ShuffleNetV1': (
    _whole({'stem': ('conv1', 'bn1'), 'classifier/linear': 'linear'}),
    _layers(
      {'reduce': ('conv1', 'bn1'), 'depthwise': ('conv2', 'bn2'), 'expand': ('conv3', 'bn3')}
    ),
  ),
  'ShuffleNetV2': (
    _whole({'stem': ('conv1', 'bn1'), 'last': ('conv2', 'bn2'), 'classifier/linear': 'linear'}),
    (
      r'stage(\d+)_down/',
      lambda stage: f'layer{stage}.0.',
      {
        'left_depthwise': ('conv1', 'bn1'),
        'left': ('conv2', 'bn2'),
        'right_first': ('conv3', 'bn3'),
        'right_depthwise': ('conv4', 'bn4'),
        'right_second': ('conv5', 'bn5'),
      },
    ),
    # Number 0 is the down unit.
    (
      r'stage(\d+)_block(\d+)/',
      lambda stage, block: f'layer{stage}.{block}.',
      {'first': ('conv1', 'bn1'), 'depthwise': ('conv2', 'bn2'), 'second': ('conv3', 'bn3')},
    ),
  ),
  # timm's. A network's first stage has no down layer.
  'ConvNeXt': (
    _whole(
      {
        'stem/patches/conv': 'stem.0',
        'stem/norm': 'stem.1',
        'classifier/norm': 'head.norm',
        'classifier/linear': 'head.fc',
      }
    ),
    (
      r'stage(\d+)_down/',
      lambda stage: f'stages.{stage - 1}.downsample.',
      {'norm': '0', 'patches/conv': '1'},
    ),
    (
      r'stage(\d+)_block(\d+)/',
      lambda stage, block: f'stages.{stage - 1}.blocks.{block - 1}.',
      {
        'depthwise': 'conv_dw',
        'norm': 'norm',
        'mlp/first': 'mlp.fc1',
        'mlp/second': 'mlp.fc2',
        'layer_scale': '',
      },
    ),
  ),
  'ViT': (
    _whole(
      {
        'embedding': '',
        'embedding/projection': 'patch_embed.proj',
        'norm': 'norm',
        'classifier/linear': 'head',
      }
    ),
    (
      r'block(\d+)/',
      lambda block: f'blocks.{block - 1}.',
      {
        'norm1': 'norm1',
        'attention/qkv': 'attn.qkv',
        'attention/projection': 'attn.proj',
        'norm2': 'norm2',
        'mlp/first': 'mlp.fc1',
        'mlp/second': 'mlp.fc2',
      },
    ),
  ),
  # SimKD's projector (arXiv:2203.14001). It is a stack of q = 1 without the leading axis.
  'Projector': (
    _whole(
      {
        'reduce': ('transfer.0', 'transfer.1'),
        'transform': ('transfer.3', 'transfer.4'),
        'expand': ('transfer.6', 'transfer.7'),
      }
    ),
  ),
}

# Parameters that a module of PyTorch holds itself, beside its layers.
_OWN_LEAVES = {'gamma': 'gamma', 'class_token': 'cls_token', 'position': 'pos_embed'}
_LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
  **_OWN_LEAVES,
}


def key(family: str, path: tuple[str, ...]) -> str:
  """Return the key of a variable in a PyTorch state dict.

  Args:
    family: name of the network's class.
    path: (collection, module, ..., name) of the variable in Flax.

  Raises:
    LookupError: the family, or the module in it, has no name here.

  Example:
    >>> key('ResNet', ('params', 'stage1_block2', 'first', 'conv', 'kernel'))
    'layer1.1.conv1.weight'
  """
  _, *modules, leaf = path
  module = '/'.join(modules)
  for pattern, prefix, names in _FAMILIES[family]:
    if match := re.match(pattern, module):
      name = _flat(names).get(module[match.end() :])
      if name is not None:
        dot = '' if leaf in _OWN_LEAVES else '.'
        return f'{prefix(*map(int, match.groups()))}{name}{dot}{_LEAVES[leaf]}'
  raise LookupError(f'{family} has no PyTorch name for {module}')


def is_known(part: str) -> bool:
  """Whether a family has keys that begin with this part.

  Example:
    >>> is_known('layer3'), is_known('module')
    (True, False)
  """
  first = (pattern.partition(r'\.')[0] for family in _FAMILIES for pattern in _patterns(family))
  return any(re.fullmatch(pattern, part) for pattern in first)


def is_key(family: str, key: str) -> bool:
  """Whether a family has such a key, in a network of some depth.

  Example:
    >>> is_key('ResNet', 'layer9.7.conv1.weight'), is_key('WRN', 'layer9.7.conv1.weight')
    (True, False)
  """
  return any(re.fullmatch(pattern, key) for pattern in _patterns(family))


@functools.cache
def _patterns(family: str) -> frozenset[str]:
  """Return patterns of a family's keys, whatever their numbers."""
  patterns = set()
  for pattern, prefix, names in _FAMILIES[family]:
    start = re.sub(r'\d+', r'\\d+', re.escape(prefix(*[1] * re.compile(pattern).groups)))
    for name in _flat(names).values():
      module = f'{start}{re.escape(name)}'
      whole = not module or module.endswith(r'\.')  # Of no layer, but of the part itself.
      patterns.add(module + (f'({"|".join(_OWN_LEAVES.values())})' if whole else r'\.\w+'))
  return frozenset(patterns)


def _flat(names: _Names) -> dict[str, str]:
  """Return the names with a ConvNorm's convolution and norm as two entries."""
  flat = {}
  for module, name in names.items():
    if isinstance(name, tuple):
      flat |= dict(zip((f'{module}/conv', f'{module}/norm'), name, strict=True))
    else:
      flat[module] = name
  return flat
