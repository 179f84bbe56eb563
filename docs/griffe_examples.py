"""Shows the code in docstrings as code: `Example:` sections, and indented blocks before them."""

import re

import griffe

_SECTION = re.compile(r'^(?:Args|Attributes|Returns|Yields|Raises|Examples?|Source):', re.MULTILINE)
_BLOCK = re.compile(r'(?<=\n\n)(?:  +.*(?:\n|$)|\n(?=  ))+')


class ExampleSections(griffe.Extension):
  """Prepare docstrings before griffe parses them."""

  def on_object(self, *, obj, **kwargs):
    if obj.docstring:
      text = re.sub(r'^Example:$', 'Examples:', obj.docstring.value, flags=re.MULTILINE)
      section = _SECTION.search(text)
      end = section.start() if section else len(text)
      obj.docstring.value = _BLOCK.sub(_fenced, text[:end]) + text[end:]


def _fenced(block: re.Match) -> str:
  """Return an indented block as a fenced one."""
  return f'```text\n{block[0].rstrip()}\n```\n\n'
