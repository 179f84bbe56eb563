"""Entries of a model card (card.json) that versions name differently."""

from collections.abc import Mapping
from typing import Any


def optimizer_hparams(member: Mapping[str, Any]) -> Mapping[str, float]:
  """Return a member's learning rate and weight decay, by the names in its card.

  Args:
    member: the entry `training.member` of a card. Version 0.1.0 calls these values 'numbers'.
  """
  return member.get('optimizer', member.get('numbers', {}))
