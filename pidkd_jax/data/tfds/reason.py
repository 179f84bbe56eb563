"""What an exception says, for a message of one line."""


def reason(error: BaseException) -> str:
  """The first line of the exception's message, or its type's name if it says nothing."""
  lines = str(error).split('\n')
  return lines[0].strip() or type(error).__name__
