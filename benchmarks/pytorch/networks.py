"""The community's networks in PyTorch, under the state-dict keys of their public checkpoints.

Keys and names as in RepDistiller, SimKD and mdistiller. Maps are [B, C, H, W] throughout.
"""

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(cin, cout, size=3, stride=1, groups=1, bias=False) -> nn.Conv2d:
  """Convolution padded by size // 2 on each side."""
  return nn.Conv2d(cin, cout, size, stride, size // 2, groups=groups, bias=bias)


def depthwise(channels, stride, bias=False) -> nn.Conv2d:
  return conv(channels, channels, 3, stride, groups=channels, bias=bias)


class ConvNorms(nn.Module):
  """Convolutions conv1, conv2, ... and the BatchNorm of each, bn1, bn2, ..."""

  def __init__(self, *convs: nn.Conv2d):
    super().__init__()
    for i, layer in enumerate(convs, start=1):
      self.add_module(f'conv{i}', layer)
      self.add_module(f'bn{i}', nn.BatchNorm2d(layer.out_channels))

  def norm(self, i: int, x: Tensor) -> Tensor:
    return getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(x))

  def relu(self, i: int, x: Tensor) -> Tensor:
    return F.relu(self.norm(i, x))


class Network(ConvNorms):
  """A classifier of images.

  Attributes:
    last: name of the module that reads the pooled target map.
  """

  last = 'linear'

  def features(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Image [B, 3, H, W] -> (maps of stem and stages, map whose spatial mean is classified)."""
    raise NotImplementedError

  def distillation_map(self, x: Tensor) -> Tensor:
    """Image -> the map that a student distils from: the last stage's, activated."""
    return self.features(x)[0][-1]

  def classify(self, pooled: Tensor) -> Tensor:
    """[B, C] -> logits [B, K]."""
    return getattr(self, self.last)(pooled)

  def forward(self, x: Tensor) -> Tensor:
    return self.classify(self.features(x)[1].mean((2, 3)))

  def through(self, names: Sequence[str], x: Tensor) -> list[Tensor]:
    """x and the map after each of the named children."""
    maps = [x]
    for name in names:
      maps.append(getattr(self, name)(maps[-1]))
    return maps


# ResNets, He et al. 2015, arXiv:1512.03385.


class ResidualBlock(ConvNorms):
  """Convolutions and norms with ReLUs between, plus a shortcut, then ReLU."""

  def __init__(self, shortcut: str, *convs: nn.Conv2d):
    super().__init__(*convs)
    self.depth, self.shortcut_name = len(convs), shortcut
    cin, cout = convs[0].in_channels, convs[-1].out_channels
    stride = math.prod(c.stride[0] for c in convs)
    same = stride == 1 and cin == cout
    project = () if same else (conv(cin, cout, 1, stride), nn.BatchNorm2d(cout))
    self.add_module(shortcut, nn.Sequential(*project))

  def forward(self, x):
    y = x
    for i in range(1, self.depth):
      y = self.relu(i, y)
    return F.relu(self.norm(self.depth, y) + getattr(self, self.shortcut_name)(x))


def basic(shortcut, cin, width, stride):
  return ResidualBlock(shortcut, conv(cin, width, 3, stride), conv(width, width))


def bottleneck(shortcut, cin, width, stride):
  return ResidualBlock(
    shortcut, conv(cin, width, 1), conv(width, width, 3, stride), conv(width, 4 * width, 1)
  )


class ResNet(Network):
  """Stages of post-activation blocks on a 3x3 stem; all but the first halve the size."""

  def __init__(self, num_classes, *, block, counts, stem, width, expansion, last):
    super().__init__(conv(3, stem))
    self.names = [f'layer{i}' for i in range(1, len(counts) + 1)]
    cin = stem
    for i, (name, count) in enumerate(zip(self.names, counts, strict=True)):
      blocks = []
      for j in range(count):
        blocks.append(block(cin, width * 2**i, 2 if i and not j else 1))
        cin = width * 2**i * expansion
      self.add_module(name, nn.Sequential(*blocks))
    self.last = last
    self.add_module(last, nn.Linear(cin, num_classes))

  def features(self, x):
    maps = self.through(self.names, self.relu(1, x))
    return maps, maps[-1]


def cifar_resnet(num_classes, depth, factor):
  """Depth 6n + 2, three stages from 16 * factor channels; only x4 widens the stem too."""
  return ResNet(
    num_classes,
    block=functools.partial(basic, 'downsample'),
    counts=[(depth - 2) // 6] * 3,
    stem=32 if factor == 4 else 16,
    width=16 * factor,
    expansion=1,
    last='fc',
  )


def imagenet_resnet(num_classes, counts, block, expansion):
  """Four stages from 64 channels, as for ImageNet, on a stem that keeps the size."""
  return ResNet(
    num_classes,
    block=functools.partial(block, 'shortcut'),
    counts=counts,
    stem=64,
    width=64,
    expansion=expansion,
    last='linear',
  )


# Wide ResNets, Zagoruyko and Komodakis 2016, arXiv:1605.07146.


class PreActivationBlock(nn.Module):
  """Norm, ReLU, 3x3, norm, ReLU, 3x3, plus a shortcut."""

  def __init__(self, cin, cout, stride):
    super().__init__()
    self.bn1, self.conv1 = nn.BatchNorm2d(cin), conv(cin, cout, 3, stride)
    self.bn2, self.conv2 = nn.BatchNorm2d(cout), conv(cout, cout)
    self.convShortcut = conv(cin, cout, 1, stride) if cin != cout else None

  def forward(self, x):
    y = F.relu(self.bn1(x))
    shortcut = self.convShortcut(y) if self.convShortcut else x
    return shortcut + self.conv2(F.relu(self.bn2(self.conv1(y))))


class WRN(Network):
  """Depth 6n + 4; the stages are raw sums, norm and ReLU make the target map of the last."""

  last = 'fc'

  def __init__(self, num_classes, depth, factor):
    super().__init__()
    self.conv1 = conv(3, 16)
    cin = 16
    for i in range(3):
      cout = 16 * factor * 2**i
      blocks = [PreActivationBlock(cin, cout, 2 if i else 1)]
      blocks += [PreActivationBlock(cout, cout, 1) for _ in range((depth - 4) // 6 - 1)]
      self.add_module(f'block{i + 1}', nn.Sequential())
      getattr(self, f'block{i + 1}').add_module('layer', nn.Sequential(*blocks))
      cin = cout
    self.bn1 = nn.BatchNorm2d(cin)
    self.fc = nn.Linear(cin, num_classes)

  def features(self, x):
    maps = self.through(['block1', 'block2', 'block3'], self.conv1(x))
    return maps, F.relu(self.bn1(maps[-1]))

  def distillation_map(self, x):
    return self.features(x)[1]


# VGG, Simonyan and Zisserman 2014, arXiv:1409.1556.


class VGG(Network):
  """Five blocks of 3x3 convolution with bias, norm and ReLU; max-pooling between them."""

  last = 'classifier'

  def __init__(self, num_classes, counts):
    super().__init__()
    cin = 3
    for i, (cout, count) in enumerate(zip((64, 128, 256, 512, 512), counts, strict=True)):
      layers = []
      for _ in range(count):
        layers += [conv(cin, cout, bias=True), nn.BatchNorm2d(cout), nn.ReLU()]
        cin = cout
      self.add_module(f'block{i}', nn.Sequential(*layers))
    self.classifier = nn.Linear(cin, num_classes)

  def features(self, x):
    pooled = (1, 2, 3, 4) if x.shape[2] >= 64 else (1, 2, 3)
    maps = []
    for i in range(5):
      x = getattr(self, f'block{i}')(F.max_pool2d(x, 2) if i in pooled else x)
      maps.append(x)
    return maps, x


# MobileNetV2, Sandler et al. 2018, arXiv:1801.04381.

# Of each group of blocks: expansion, channels, number.
MOBILE_GROUPS = (
  (1, 16, 1),
  (6, 24, 2),
  (6, 32, 3),
  (6, 64, 4),
  (6, 96, 3),
  (6, 160, 3),
  (6, 320, 1),
)


class InvertedResidual(nn.Module):
  """1x1 expansion, 3x3 depthwise, linear 1x1; plus the input where the shape is kept.

  Attributes:
    body: the state dict's name for the layers.
  """

  def __init__(self, body, cin, cout, stride, expansion, activation, bias):
    super().__init__()
    mid = cin * expansion
    layers = nn.Sequential(
      conv(cin, mid, 1, bias=bias),
      nn.BatchNorm2d(mid),
      activation(),
      depthwise(mid, stride, bias),
      nn.BatchNorm2d(mid),
      activation(),
      conv(mid, cout, 1, bias=bias),
      nn.BatchNorm2d(cout),
    )
    self.body, self.keeps_shape = body, stride == 1 and cin == cout
    self.add_module(body, layers)

  def forward(self, x):
    y = getattr(self, self.body)(x)
    return x + y if self.keeps_shape else y


def inverted_group(cin, cout, stride, count, make) -> list[nn.Module]:
  """Blocks `make(cin, cout, stride)`, of which the first changes width and size."""
  return [make(cin, cout, stride)] + [make(cout, cout, 1) for _ in range(count - 1)]


class MobileNetV2(Network):
  """RepDistiller's: a stem of stride 2, ReLU, convolutions without bias."""

  last = 'classifier'

  def __init__(self, num_classes, width):
    super().__init__()
    cin = int(32 * width)
    self.conv1 = nn.Sequential(conv(3, cin, 3, 2), nn.BatchNorm2d(cin), nn.ReLU())
    self.blocks = nn.ModuleList()
    for (t, channels, n), stride in zip(MOBILE_GROUPS, (1, 1, 2, 2, 1, 2, 1), strict=True):
      make = functools.partial(
        InvertedResidual, 'conv', expansion=t, activation=nn.ReLU, bias=False
      )
      cout = int(channels * width)
      self.blocks.append(nn.Sequential(*inverted_group(cin, cout, stride, n, make)))
      cin = cout
    self.conv2 = nn.Sequential(conv(cin, 1280, 1), nn.BatchNorm2d(1280), nn.ReLU())
    self.classifier = nn.Sequential(nn.Linear(1280, num_classes))

  def features(self, x):
    x = self.conv1(x)
    maps = [x]
    for i, block in enumerate(self.blocks):
      x = block(x)
      if i in (1, 2, 4, 6):
        maps.append(x)
    return maps, self.conv2(x)


class MobileNetV2TinyImageNet(Network):
  """mdistiller's: a padded 1x1 stem, ReLU6, convolutions with bias, a 1x1 classifier."""

  def __init__(self, num_classes):
    super().__init__()
    self.pre = nn.Sequential(nn.Conv2d(3, 32, 1, padding=1), nn.BatchNorm2d(32), nn.ReLU6())
    cin, strides = 32, (1, 2, 2, 2, 1, 1, 1)
    for i, ((t, cout, n), stride) in enumerate(zip(MOBILE_GROUPS, strides, strict=True), start=1):
      make = functools.partial(
        InvertedResidual, 'residual', expansion=t, activation=nn.ReLU6, bias=True
      )
      blocks = inverted_group(cin, cout, stride, n, make)
      self.add_module(f'stage{i}', nn.Sequential(*blocks) if n > 1 else blocks[0])
      cin = cout
    self.conv1 = nn.Sequential(conv(cin, 1280, 1, bias=True), nn.BatchNorm2d(1280), nn.ReLU6())
    self.conv2 = conv(1280, num_classes, 1, bias=True)

  def features(self, x):
    maps = self.through([f'stage{i}' for i in range(1, 8)], self.pre(x))
    return [maps[i] for i in (0, 2, 3, 4, 7)], self.conv1(maps[-1])

  def classify(self, pooled):
    return self.conv2(pooled[:, :, None, None]).flatten(1)


# ShuffleNet, Zhang et al. 2017, arXiv:1707.01083.


class ShuffleUnitV1(ConvNorms):
  """Grouped 1x1, shuffle, 3x3 depthwise, grouped 1x1; joined to the input, then ReLU."""

  def __init__(self, cin, cout, stride, groups=3):
    first = 1 if cin == 24 else groups
    mid = cout // 4
    super().__init__(
      conv(cin, mid, 1, groups=first), depthwise(mid, stride), conv(mid, cout, 1, groups=groups)
    )

  def forward(self, x):
    y = F.channel_shuffle(self.relu(1, x), self.conv1.groups)
    y = self.norm(3, self.relu(2, y))
    if self.conv2.stride == (1, 1):
      return F.relu(x + y)
    return F.relu(torch.cat([y, F.avg_pool2d(x, 3, 2, padding=1)], 1))


class ShuffleV1(Network):
  """Three groups; the 1x1 stem keeps the size."""

  def __init__(self, num_classes):
    super().__init__(conv(3, 24, 1))
    cin = 24
    for i, (cout, count) in enumerate(((240, 4), (480, 8), (960, 4)), start=1):
      # The first unit's input joins its output as further channels.
      units = [ShuffleUnitV1(cin, cout - cin, 2)]
      units += [ShuffleUnitV1(cout, cout, 1) for _ in range(count - 1)]
      self.add_module(f'layer{i}', nn.Sequential(*units))
      cin = cout
    self.linear = nn.Linear(cin, num_classes)

  def features(self, x):
    maps = self.through(['layer1', 'layer2', 'layer3'], self.relu(1, x))
    return maps, maps[-1]


# ShuffleNetV2, Ma et al. 2018, arXiv:1807.11164.


class ShuffleUnitV2(ConvNorms):
  """Half of the channels passes, the other half is transformed; then both are shuffled."""

  def __init__(self, channels):
    half = channels // 2
    super().__init__(conv(half, half, 1), depthwise(half, 1), conv(half, half, 1))

  def forward(self, x):
    left, right = x.chunk(2, 1)
    right = self.relu(3, self.norm(2, self.relu(1, right)))
    return F.channel_shuffle(torch.cat([left, right], 1), 2)


class ShuffleDownV2(ConvNorms):
  """Two branches of stride 2, each giving half of the channels, shuffled."""

  def __init__(self, cin, cout):
    half = cout // 2
    left = depthwise(cin, 2), conv(cin, half, 1)
    right = conv(cin, half, 1), depthwise(half, 2), conv(half, half, 1)
    super().__init__(*left, *right)

  def forward(self, x):
    left = self.relu(2, self.norm(1, x))
    right = self.relu(5, self.norm(4, self.relu(3, x)))
    return F.channel_shuffle(torch.cat([left, right], 1), 2)


class ShuffleV2(Network):
  """The 1x1 stem keeps the size; a 1x1 convolution widens the last stage to the target map."""

  def __init__(self, num_classes, channels):
    super().__init__(conv(3, 24, 1), conv(channels[-1], 1024, 1))
    cin = 24
    for i, (cout, count) in enumerate(zip(channels, (3, 7, 3), strict=True), start=1):
      units = [ShuffleUnitV2(cout) for _ in range(count)]
      self.add_module(f'layer{i}', nn.Sequential(ShuffleDownV2(cin, cout), *units))
      cin = cout
    self.linear = nn.Linear(1024, num_classes)

  def features(self, x):
    maps = self.through(['layer1', 'layer2', 'layer3'], self.relu(1, x))
    return maps, self.relu(2, maps[-1])


_CIFAR_RESNETS = {
  1: (8, 14, 20, 32, 38, 44, 56, 110, 116),
  2: (14, 38, 110),
  4: (8, 14, 32, 38),
}
_VGGS = {
  8: (1, 1, 1, 1, 1),
  11: (1, 1, 2, 2, 2),
  13: (2, 2, 2, 2, 2),
  16: (2, 2, 3, 3, 3),
  19: (2, 2, 4, 4, 4),
}

NETWORKS = {
  **{
    f'resnet{depth}' + (f'x{factor}' if factor > 1 else ''): functools.partial(
      cifar_resnet, depth=depth, factor=factor
    )
    for factor, depths in _CIFAR_RESNETS.items()
    for depth in depths
  },
  'ResNet18': functools.partial(imagenet_resnet, counts=(2, 2, 2, 2), block=basic, expansion=1),
  'ResNet50': functools.partial(
    imagenet_resnet, counts=(3, 4, 6, 3), block=bottleneck, expansion=4
  ),
  **{
    f'wrn_{depth}_{factor}': functools.partial(WRN, depth=depth, factor=factor)
    for depth in (16, 40)
    for factor in (1, 2)
  },
  **{f'vgg{depth}': functools.partial(VGG, counts=counts) for depth, counts in _VGGS.items()},
  'MobileNetV2': functools.partial(MobileNetV2, width=0.5),
  'MobileNetV2_1_0': functools.partial(MobileNetV2, width=1.0),
  'MobileNetV2_TinyImageNet': MobileNetV2TinyImageNet,
  'ShuffleV1': ShuffleV1,
  'ShuffleV2': functools.partial(ShuffleV2, channels=(116, 232, 464)),
  'ShuffleV2_1_5': functools.partial(ShuffleV2, channels=(176, 352, 704)),
}


def names() -> list[str]:
  """The networks that `create` knows."""
  return list(NETWORKS)


def create(name: str, num_classes: int = 100) -> Network:
  """A fresh network: He-normal fan-out convolutions without offset, the rest as PyTorch has it."""
  network = NETWORKS[name](num_classes)
  for module in network.modules():
    if isinstance(module, nn.Conv2d):
      nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
      if module.bias is not None:
        nn.init.zeros_(module.bias)
  return network
