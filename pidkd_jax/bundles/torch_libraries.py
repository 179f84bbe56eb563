"""Networks of timm and torchvision by name, and what these libraries know of them."""

import abc
import collections
import contextlib
import difflib
import functools
import pathlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pidkd_jax.bundles import timm_config
from pidkd_jax.bundles.preprocessing import Preprocessing
from pidkd_jax.bundles.timm_config import TimmConfig
from pidkd_jax.core import extras
from pidkd_jax.core.errors import UserError, first_line, unknown_name
from pidkd_jax.core.normalisation import Normalisation

# Operators of torchvision's compiled part that its own import asks for; no classifier calls them.
_OPERATORS = (
  'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
  'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
)
# The packages whose errors are those of a download, or of a file that did not arrive whole.
_DOWNLOAD = ('http', 'httpx', 'huggingface_hub', 'safetensors')
# The networks of torchvision whose own weights are for images of another normalisation.
_TRANSFORMING = ('googlenet', 'inception_v3')
# The keys of layers in torchvision's files of DenseNets, which torchvision itself renames.
_DENSE = re.compile(r'(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)')
# A library's operators vanish with it.
_DECLARED: list[Any] = []


class Library(abc.ABC):
  """A library of PyTorch networks.

  Attributes:
    title: its name.
    size_argument: the name by which its networks take the size of images, where they take it.
  """

  title: str
  size_argument: str

  @abc.abstractmethod
  def names(self) -> Sequence[str]:
    """Return the names of its classifiers."""

  @abc.abstractmethod
  def check(self, name: str) -> None:
    """Raise UserError where there is no classifier of this name."""

  @abc.abstractmethod
  def make(self, name: str, **arguments: Any) -> Any:
    """Return a network of random weights, or pretrained ones where `arguments` ask for them."""

  @abc.abstractmethod
  def pretrained(self, name: str) -> tuple[dict[str, Any], str]:
    """Return the argument that asks for pretrained weights, and the address of their file.

    Raises:
      UserError: there are none.
    """

  @abc.abstractmethod
  def preprocessing(self, name: str, module: Any) -> Preprocessing:
    """Return what images the network takes, as its pretrained weights were evaluated."""

  @abc.abstractmethod
  def class_names(self, name: str, module: Any, num_classes: int) -> tuple[str, ...] | None:
    """Return the classes of the library's weights, None where they are not known."""

  def config(self, name: str, checkpoint: pathlib.Path) -> TimmConfig | None:
    """Return what timm's hub says beside a checkpoint; None where it says nothing of this library.

    Raises:
      UserError: as `timm_config.read`.
    """
    del name, checkpoint
    return None

  def create(
    self, name: str, num_classes: int | None, image_size: int | None, pretrained: bool
  ) -> Any:
    """Return a network in evaluation mode.

    Args:
      name: of the network in this library.
      num_classes: None for the library's own.
      image_size: side of the images in pixels; None for the library's own.
      pretrained: whether its weights are downloaded. Otherwise they are random.

    Raises:
      UserError: there is no such network, it cannot be made so, or its weights cannot be fetched.
    """
    self.check(name)
    arguments: dict[str, Any] = {} if num_classes is None else {'num_classes': num_classes}
    weights, address = self.pretrained(name) if pretrained else ({}, '')
    sized = {} if image_size is None else {self.size_argument: image_size}
    # Networks that take images of any size have no such argument.
    attempts = ({**sized}, {}) if sized else ({},)
    for attempt in attempts:
      try:
        return self.make(name, **arguments, **weights, **attempt).eval()
      except Exception as error:  # Networks and downloads fail in many ways.
        if attempt and isinstance(error, TypeError) and self.size_argument in str(error):
          continue
        if pretrained and _is_of_download(error):
          raise UserError(
            f'{self.title}/{name}: its weights could not be fetched ({_why(error)}); fetch '
            f'{address} where there is a network, and give the file with --checkpoint'
          ) from error
        remedy = '; leave out --image_size, or give another' if attempt else ''
        raise UserError(
          f'{self.title}/{name} cannot be made: {first_line(error)}{remedy}'
        ) from error
    raise AssertionError(name)


class _Timm(Library):
  title, size_argument = 'timm', 'img_size'

  @functools.cached_property
  def _timm(self) -> Any:
    with _importable():
      import timm
      import timm.data
    return timm

  def names(self):
    return self._timm.list_models()

  def check(self, name):
    if not self._timm.is_model(name):
      raise _unknown(self, name)
    architecture, _, tag = name.partition('.')
    tags = {full.partition('.')[2] for full in self._timm.list_pretrained(f'{architecture}.*')}
    if tag and tag not in tags:
      raise unknown_name(f'weights of timm/{architecture}', tag, tags)

  def config(self, name, checkpoint):
    config = timm_config.read(checkpoint)
    return config if config and config.architecture == name.partition('.')[0] else None

  def make(self, name, **arguments):
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # It would warn of each of its attempts to download.
    return self._timm.create_model(name, **arguments)

  def pretrained(self, name):
    config = self._timm.get_pretrained_cfg(name)
    if config is None or not (config.hf_hub_id or config.url):
      raise UserError(f'timm has no pretrained weights of {name!r}; give yours with --checkpoint')
    hub = f'https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors'
    return {'pretrained': True}, hub if config.hf_hub_id else str(config.url)

  def preprocessing(self, name, module):
    config = self._timm.data.resolve_data_config({}, model=module)
    channels, height, width = config['input_size']
    return Preprocessing(
      (height, width, channels),
      Normalisation(tuple(config['mean']), tuple(config['std'])),
      float(config['crop_pct']),
      config['interpolation'],
      config['crop_mode'],
    )

  def class_names(self, name, module, num_classes):
    own = module.pretrained_cfg.get('label_names')
    if own and len(own) == num_classes:
      return tuple(own)
    # Names are ImageNet's only where the library's own weights are for as many classes.
    if module.pretrained_cfg.get('num_classes') != num_classes:
      return None
    subset = self._timm.data.infer_imagenet_subset(module)
    if not subset:
      return None
    info = self._timm.data.ImageNetInfo(subset)
    names = [info.index_to_description(i) for i in range(num_classes)]
    count = collections.Counter(names)
    # A crane is a bird or a machine, so the synset is added.
    return tuple(
      f'{name} ({info.index_to_label_name(i)})' if count[name] > 1 else name
      for i, name in enumerate(names)
    )


class _Torchvision(Library):
  title, size_argument = 'torchvision', 'image_size'

  @functools.cached_property
  def _models(self) -> Any:
    with _importable():
      from torchvision import models
    return models

  def names(self):
    return self._models.list_models(module=self._models)

  def check(self, name):
    if name not in self.names():
      raise _unknown(self, name)

  def make(self, name, **arguments):
    # Without weights of its own, torchvision leaves out what these two do to their images.
    if name in _TRANSFORMING and 'weights' not in arguments:
      arguments |= {'transform_input': True, 'init_weights': False}
    return self._models.get_model(name, **arguments)

  def pretrained(self, name):
    weights = self._weights(name)
    if weights is None:
      raise UserError(
        f'torchvision has no pretrained weights of {name!r}; give yours with --checkpoint'
      )
    return {'weights': weights}, str(weights.url)

  def preprocessing(self, name, module):
    weights = self._weights(name)
    if weights is None:
      half = (0.5, 0.5, 0.5)
      return Preprocessing((224, 224, 3), Normalisation(half, half), 1.0)
    used = weights.transforms()
    [side], [resized] = used.crop_size, used.resize_size
    return Preprocessing(
      (side, side, 3),
      Normalisation(tuple(used.mean), tuple(used.std)),
      side / resized,
      used.interpolation.value,
    )

  def class_names(self, name, module, num_classes):
    weights = self._weights(name)
    names = weights.meta['categories'] if weights else ()
    return tuple(names) if len(names) == num_classes else None

  def _weights(self, name: str) -> Any:
    known = [*self._models.get_model_weights(name)]
    return cast(Any, self._models.get_model_weights(name)).DEFAULT if known else None


LIBRARIES: dict[str, Library] = {library.title: library for library in (_Timm(), _Torchvision())}


def of(model: str) -> tuple[Library, str] | None:
  """Return the library and the name that 'timm/NAME' or 'torchvision/NAME' says; None for others.

  Example:
    >>> of('resnet8') is None
    True
    >>> of('timm/resnet18')[1]
    'resnet18'
  """
  title, slash, name = model.partition('/')
  return (LIBRARIES[title], name) if slash and title in LIBRARIES else None


def adapted(module: Any, state: dict[str, Any]) -> dict[str, Any]:
  """Return a checkpoint as a network's own library adapts it, unchanged where it cannot.

  timm's families rename the keys of their authors' files and resample position embeddings.
  torchvision's DenseNets rename those of its own files.
  """
  state = {_DENSE.sub(r'\1\2', key): value for key, value in state.items()}
  adapt = getattr(sys.modules[type(module).__module__], 'checkpoint_filter_fn', None)
  try:
    return dict(adapt(state, module)) if adapt else state
  except Exception:  # It is made for its own family's files, and fails at others in any way.
    return state


@contextlib.contextmanager
def _importable() -> Iterator[None]:
  """Let torchvision be imported beside a PyTorch that its compiled part is not for.

  The wheel of PyPI is for CUDA. Beside PyTorch for CPUs its compiled part does not load, and then
  its import fails at two operators. They are declared, without code.
  """
  with extras.needed('a network of timm or torchvision'):
    import torch

    try:
      import torchvision  # noqa: F401
    except RuntimeError:
      library = torch.library.Library('torchvision', 'FRAGMENT')
      _DECLARED.append(library)
      for operator in _OPERATORS:
        library.define(operator)
      for name in [name for name in sys.modules if name.partition('.')[0] == 'torchvision']:
        del sys.modules[name]
    yield


def _unknown(library: Library, name: str) -> UserError:
  """Return the error for an unknown network, with the nearest of perhaps a thousand names."""
  names = library.names()
  nearest = difflib.get_close_matches(name, names, n=8, cutoff=0.5)
  return unknown_name(f'network of {library.title}', name, nearest or names)


def _is_of_download(error: Exception) -> bool:
  """Whether an error is of a disk, a network, or a file that did not arrive whole."""
  origins = {kind.__module__.partition('.')[0] for kind in type(error).__mro__}
  # PyTorch has no kind of its own for a file with another hash than its name says.
  damaged = isinstance(error, RuntimeError) and 'invalid hash value' in str(error)
  return isinstance(error, OSError) or damaged or not origins.isdisjoint(_DOWNLOAD)


def _why(error: Exception) -> str:
  return f'{type(error).__name__}: {first_line(error)[:100]}'
