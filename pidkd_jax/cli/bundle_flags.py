"""The flags --bundle, --own and --teacher, and the bundles that they name."""

from collections.abc import Mapping
from typing import Any

from absl import flags

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError


def define() -> None:
  """Define --bundle, a folder, and --own."""
  flags.DEFINE_string('bundle', '', 'Folder of the bundle.')
  define_own()


def define_several() -> None:
  """Define --bundle, which may be repeated, and --own."""
  flags.DEFINE_multi_string('bundle', [], 'Folder of a bundle; repeatable.')
  define_own()


def define_own() -> None:
  """Define --own."""
  flags.DEFINE_multi_string('own', [], 'Your own network in it, package.module:Class; repeatable.')


def define_teacher() -> None:
  """Define --teacher."""
  flags.DEFINE_string('teacher', '', "Folder of the teacher's bundle; by default as in the card.")


def load(folder: str, flag: str = '--bundle') -> Bundle:
  """Return the bundle in a folder, which may hold the networks that --own names.

  Args:
    folder: as the user wrote it.
    flag: which he wrote it after.

  Raises:
    UserError: there is none, or it cannot be loaded.
  """
  return bundle.load(local_path.resolve(flag, folder), models.families(*flags.FLAGS.own))


def load_all() -> list[Bundle]:
  """Return the bundles of a --bundle that may be repeated.

  Raises:
    UserError: none is named, or as `load` says.
  """
  if not flags.FLAGS.bundle:
    raise UserError('no bundle was given; name one or several with --bundle')
  return [load(folder) for folder in flags.FLAGS.bundle]


def load_teacher(card: Mapping[str, Any]) -> tuple[Bundle | None, str]:
  """Return the teacher of --teacher, or else of a card, and why there is none.

  Args:
    card: of the student's bundle.

  Returns:
    The bundle and ''; or None and the reason, which is '' where the card names no teacher.

  Raises:
    UserError: --teacher names none, or another than the card does.
  """
  digest = teacher_digest(card)
  if flags.FLAGS.teacher:
    return _checked(flags.FLAGS.teacher, digest), ''
  known = card.get('training', {}).get('teacher')
  if known is None:
    return None, ''
  folder = known.get('folder') if isinstance(known, dict) else None
  if not isinstance(folder, str) or not digest:
    return None, 'the card names a teacher without its folder or digest; --teacher says where it is'
  try:
    return _checked(folder, digest), ''
  except UserError as error:
    return None, f'{error}; --teacher says where it is'


def teacher_digest(card: Mapping[str, Any]) -> str:
  """Return the digest of the teacher that a card names; '' where it names none."""
  known = card.get('training', {}).get('teacher')
  digest = known.get('digest') if isinstance(known, dict) else None
  return digest if isinstance(digest, str) else ''


def _checked(folder: str, digest: str) -> Bundle:
  """Return the teacher in a folder; raise UserError where it is not the one of a digest, if any."""
  teacher = load(folder, '--teacher')
  if digest not in ('', teacher.digest):
    raise UserError(f'{str(teacher.folder)!r} is not the teacher that the bundle was trained with')
  return teacher
