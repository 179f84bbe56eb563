"""A bundle's cards as a repository of the Hugging Face hub shows them.

Source: the hub's documentation of model cards, https://huggingface.co/docs/hub/model-cards.
"""

import copy
import pathlib
import re
from collections.abc import Mapping
from typing import Any

# The file with the same arrays as the bundle's own, for other programs.
SAFETENSORS = 'model.safetensors'

_FRONT_MATTER = '---\n'
# The entry of results, under the model's name.
_INDEX = 'model-index'
# The line of `_installation` that names the repository.
_PULL = re.compile(r'pidkd pull \S+ THIS_FOLDER')


def published(card: Mapping[str, Any]) -> dict[str, Any]:
  """Return card.json as it may be published: paths on this machine become names of files.

  Example:
    >>> published({'dataset': {'archive': '/home/me/cifar.tar.gz'}})
    {'dataset': {'archive': 'cifar.tar.gz'}}
  """
  card = copy.deepcopy(dict(card))
  training = card.get('training', {})
  for entries, key in (
    (card['dataset'], 'archive'),
    (training.get('teacher'), 'folder'),
    (training.get('start'), 'folder'),
  ):
    if entries and key in entries:
      entries[key] = pathlib.PurePath(entries[key]).name
  return card


def text(card: Mapping[str, Any], page: str, repository: str, license: str = '') -> str:
  """Return a model card with the hub's front matter.

  Args:
    card: the content of card.json.
    page: the bundle's README.md. Entries of a front matter that it has stay.
    repository: 'user/name'.
    license: the hub's name of a license, such as 'mit'; '' says nothing of it.
  """
  from huggingface_hub import CardData, ModelCard

  entries, body = _entries(card, repository), page
  if page.startswith(_FRONT_MATTER):
    given = ModelCard(page, ignore_metadata_errors=True)
    before, body = given.data.to_dict(), given.text
    if _results(before) == _results(entries):  # Under the name of another repository, maybe.
      before.pop(_INDEX, None)
    entries = {**entries, **before}
  if license:
    entries['license'] = license
  body = _PULL.sub(f'pidkd pull {repository} THIS_FOLDER', body)  # It may be of another one.
  if 'pidkd pull' not in body:
    body = f'{body.rstrip()}\n\n{_installation(repository)}'
  return f'{_FRONT_MATTER}{CardData(**entries).to_yaml()}\n{_FRONT_MATTER}\n{body.lstrip()}'


def _entries(card: Mapping[str, Any], repository: str) -> dict[str, Any]:
  """Return the front matter."""
  from huggingface_hub import EvalResult, ModelCardData

  data = card['dataset']['name'] or ''
  method = card.get('training', {}).get('member', {}).get('method', '')
  top1 = card.get('results', {}).get('top1')
  measured = isinstance(top1, int | float) and bool(data)
  result = EvalResult(
    task_type='image-classification',
    dataset_type=data,
    dataset_name=data,
    dataset_split='test',
    metric_type='accuracy',
    metric_name='top-1',
    metric_value=top1,
  )
  return ModelCardData(
    library_name='pidkd_jax',
    pipeline_tag='image-classification',
    tags=['jax', 'flax', 'knowledge-distillation', *_labels(method)],
    datasets=_labels(data) or None,
    metrics=['accuracy'] if measured else None,
    model_name=repository.partition('/')[2],
    eval_results=[result] if measured else None,
  ).to_dict()


def _results(entries: Mapping[str, Any]) -> list[Any]:
  return [model.get('results') for model in entries.get(_INDEX) or []]


def _labels(name: str) -> list[str]:
  """Return a name as a list of labels, which have no spaces or colons."""
  return [name] if re.fullmatch(r'[\w.-]+', name) else []


def _installation(repository: str) -> str:
  return f"""## Get it

```sh
pip install 'pidkd_jax[hub]'
pidkd pull {repository} THIS_FOLDER
```

`{SAFETENSORS}` has the arrays of `variables.npz`, for other programs.
"""
