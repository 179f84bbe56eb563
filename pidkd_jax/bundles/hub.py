"""Bundles to and from repositories of the Hugging Face hub.

Only the files of a bundle are taken from a repository, and they are loaded before they are kept. So
nothing that is pulled can run code (`bundle.load`).
"""

import contextlib
import dataclasses
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import numpy as np

from pidkd_jax import models
from pidkd_jax.bundles import bundle, hub_card, model_card
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import atomic_folder, extras, local_path, npz, regular_file
from pidkd_jax.core.errors import UserError, first_line, listed
from pidkd_jax.models import exported_function
from pidkd_jax.models.exported import Exported

# {file of a bundle: the most bytes of it that are pulled}.
_NEEDED = {
  atomic_folder.MANIFEST: bundle.JSON_LIMIT,
  bundle.CARD: bundle.JSON_LIMIT,
  bundle.VARIABLES: 2**33,
}
_LIMITS = {
  **_NEEDED,
  bundle.README: bundle.JSON_LIMIT,
  bundle.ENCODER: exported_function.LIMIT,
}


@dataclasses.dataclass(frozen=True)
class Pulled:
  """A bundle that was pulled.

  Attributes:
    bundle: as `bundle.load` returns it.
    commit: of the repository, 40 hexadecimal digits.
    passed_over: the repository's other files, which were not taken.
  """

  bundle: Bundle
  commit: str
  passed_over: tuple[str, ...]


def push(
  folder: str | pathlib.Path,
  repository: str,
  *,
  private: bool = False,
  revision: str = '',
  license: str = '',
  own: models.Own = (),
) -> str:
  """Publish a bundle, in one commit.

  The bundle is checked first. Paths on this machine are left out of its card.

  Args:
    folder: of the bundle.
    repository: 'user/name'; it is made if it is missing.
    private: whether nobody else may see it.
    revision: a branch, which is made if it is missing; '' for the main one.
    license: the hub's name of a license, such as 'mit'; '' says nothing of it.
    own: as `bundle.load` takes it.

  Returns:
    The address of the commit.

  Raises:
    UserError: it is no bundle, huggingface_hub is missing, there is no token, the hub refuses it
      or cannot be reached, or a public repository is to be private.
  """
  extras.require('the hub', *extras.EXTRAS['hub'])
  _check(repository)
  loaded = bundle.load(local_path.expanded('bundle', folder), own)
  from huggingface_hub import HfApi, get_token

  if not get_token():
    raise UserError('there is no token for the hub; run `hf auth login`, or set HF_TOKEN')
  api = HfApi()
  with tempfile.TemporaryDirectory() as home:
    place = pathlib.Path(home) / 'bundle'
    _write(loaded, place, repository, license)
    with _explained(repository, revision):
      api.create_repo(repository, private=private or None, exist_ok=True)
      if private and not api.model_info(repository).private:
        raise UserError(f'{repository!r} is there already and is public; name another repository')
      if revision:
        api.create_branch(repository, branch=revision, exist_ok=True)
      commit = api.upload_folder(
        repo_id=repository,
        folder_path=place,
        revision=revision or None,
        commit_message=f'Bundle {loaded.digest[:8]}',
      )
  return commit.commit_url


def _write(loaded: Bundle, place: pathlib.Path, repository: str, license: str) -> None:
  """Write what is uploaded: the bundle with a publishable card, safetensors and the model card."""
  from safetensors.numpy import save_file

  readme = loaded.folder / bundle.README
  if readme.is_symlink():
    raise UserError(f'{str(readme)!r} is a link; put the text itself there, as it is published')
  card = hub_card.published(loaded.card)
  page = regular_file.read_text(readme, 'replace') if readme.exists() else model_card.text(card)
  with atomic_folder.replacing(place, loose=(bundle.README, hub_card.SAFETENSORS)) as part:
    shutil.copyfile(loaded.file, part / bundle.VARIABLES)
    if isinstance(loaded.network.model, Exported):
      shutil.copyfile(loaded.folder / bundle.ENCODER, part / bundle.ENCODER)
    atomic_folder.write_json(part / bundle.CARD, card)
    (part / bundle.README).write_text(hub_card.text(card, page, repository, license), 'utf-8')
    arrays = {name: np.asarray(one, order='C') for name, one in npz.read(loaded.file).items()}
    save_file(arrays, part / hub_card.SAFETENSORS)


def pull(
  repository: str,
  folder: str | pathlib.Path,
  *,
  revision: str = '',
  own: models.Own = (),
) -> Pulled:
  """Fetch a bundle from the hub and check it; nothing is kept of one that does not load.

  Args:
    repository: 'user/name'.
    folder: of the bundle; it must not exist.
    revision: a branch, tag or commit; '' for the main branch.
    own: as `bundle.load` takes it.

  Raises:
    UserError: the folder exists, huggingface_hub is missing, the hub cannot be reached, or the
      repository is missing or holds no bundle that `bundle.load` takes.
  """
  extras.require('the hub', 'huggingface_hub')
  _check(repository)
  place = local_path.expanded('folder', folder)
  if place.exists() or place.is_symlink():
    raise UserError(f'{str(place)!r} is there already; name a new folder')
  from huggingface_hub import HfApi

  api = HfApi()
  with _explained(repository, revision):
    found = api.model_info(repository, revision=revision or None, files_metadata=True)
  sizes = {one.rfilename: one.size for one in found.siblings or ()}
  _check_files(repository, sizes)
  names = [name for name in _LIMITS if name in sizes]
  with _beside(place) as home:
    with _explained(repository, revision):
      for name in names:
        api.hf_hub_download(repository, name, revision=found.sha, local_dir=home / 'download')
    taken = home / 'bundle'
    taken.mkdir()
    for name in names:
      file = home / 'download' / name
      if file.stat().st_size != sizes[name]:
        raise UserError(f'{repository!r}: {name} did not come whole; repeat the command')
      file.rename(taken / name)
    try:
      loaded = bundle.load(taken, own)
    except UserError as error:
      raise UserError(str(error).replace(repr(str(taken)), repr(repository))) from error
    taken.rename(place)
  others = tuple(sorted(sizes.keys() - _LIMITS.keys()))
  return Pulled(dataclasses.replace(loaded, folder=place), found.sha or '', others)


def _check(repository: str) -> None:
  from huggingface_hub.utils import HFValidationError, validate_repo_id

  try:
    validate_repo_id(repository)
    if '/' not in repository:
      raise HFValidationError('it lacks the user')
  except HFValidationError as error:
    raise UserError(
      f"{repository!r} is no repository's name: {first_line(error)}; write user/name"
    ) from error


def _check_files(repository: str, sizes: dict[str, int | None]) -> None:
  """Check that a repository has the files of a bundle, and that none is too large."""
  if missing := [name for name in _NEEDED if name not in sizes]:
    raise UserError(f'{repository!r} holds no bundle: it has no {listed(missing)}; name another')
  for name, limit in _LIMITS.items():
    size = sizes.get(name, 0)
    if size is None or size > limit:
      raise UserError(
        f'{repository!r}: {name} has {size} bytes, and {limit:,} are allowed; name another'
      )


@contextlib.contextmanager
def _beside(place: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yield a temporary folder on the disk of a folder that is to be made."""
  try:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f'.{place.name}.') as home:
      yield pathlib.Path(home)
  except OSError as error:
    raise UserError(
      f'{str(place)!r} cannot be written: {error.strerror or error}; name another folder'
    ) from error


@contextlib.contextmanager
def _explained(repository: str, revision: str) -> Iterator[None]:
  """Turn the hub's errors into a UserError, which says what the library's warnings would."""
  from huggingface_hub import errors
  from huggingface_hub.utils import logging

  logging.set_verbosity_error()
  try:
    yield
  except errors.RevisionNotFoundError as error:
    raise UserError(f'{repository!r} has no revision {revision!r}; name another') from error
  except errors.RepositoryNotFoundError as error:
    raise UserError(
      f'there is no repository {repository!r}, or it is not yours to see; check its name, or run '
      '`hf auth login`'
    ) from error
  except errors.HfHubHTTPError as error:
    status = error.response.status_code
    raise UserError(
      f'the hub refuses {repository!r}: {status}, {first_line(error)}; '
      + ('run `hf auth login` with a token that may' if status in (401, 403) else 'try again later')
    ) from error
  except (
    errors.HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    errors.OfflineModeIsEnabled,
    errors.LocalEntryNotFoundError,
    ValueError,  # A page in place of JSON, an address that is none, a token with other letters.
  ) as error:
    raise UserError(
      f'the hub cannot be reached: {first_line(error)}; check the network, HF_ENDPOINT, HF_TOKEN '
      'and HF_HUB_OFFLINE'
    ) from error
