"""A start of a command that cannot succeed."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mistake:
  """A start of a command that cannot succeed.

  Attributes:
    what: the mistake, in words that no other has.
    says: a part of the line that names it.
    command: the command's name.
    given: the arguments that matter.
    usual: those that go before them.
    status: the exit status, 2 for the command line, else 1.
    needs: a module without which the material cannot be made.
  """

  what: str
  says: str
  command: str
  given: tuple[str, ...]
  usual: tuple[str, ...] = ()
  status: int = 1
  needs: str = ''


def command(name, *usual, shown=(), **more):
  """Return a function that makes mistakes of one command.

  Args:
    name: the command's.
    *usual: arguments of all of them.
    shown: those that go before the given ones, and are shown like them.
    **more: `Mistake`'s other attributes.
  """

  def mistake(what, says, *given, **other):
    return Mistake(what, says, name, (*shown, *given), usual, **{**more, **other})

  return mistake
