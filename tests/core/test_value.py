"""Values of users become Python's own, or are refused in one line."""

import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.value import plain


@pytest.mark.parametrize(
  ('like', 'value', 'expected'),
  [
    (3, np.int64(4), 4),
    (3, jnp.int32(4), 4),
    (0.5, 2, 2.0),
    (0.5, np.float32(0.25), 0.25),
    (0.5, jnp.float32(0.25), 0.25),
    (False, np.bool_(True), True),
    (False, jnp.bool_(True), True),
    ('mean', 'learned', 'learned'),
    ((0.0, 1.0), np.ones(2), (1.0, 1.0)),
  ],
)
def test_it_has_the_type_of_the_default(like, value, expected):
  found = plain(like, 'rate', value)
  assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
  ('like', 'value', 'message'),
  [
    (3, 2.5, 'rate is 2.5; a whole number is needed'),
    (3, True, 'rate is True; a whole number is needed'),
    (3, jnp.bool_(True), r'rate is Array\(True, dtype=bool\); a whole number is needed'),
    (0.5, np.bool_(True), 'rate is .*True.*; a number is needed'),
    (0.5, jnp.bool_(True), r'rate is Array\(True, dtype=bool\); a number is needed'),
    (0.5, float('nan'), 'rate is nan; a finite number is needed'),
    (0.5, np.float32('inf'), 'rate is inf; a finite number is needed'),
    (0.5, '1', "rate is '1'; a number is needed"),
    (0.5, None, 'rate is None; a number is needed'),
    (False, 1, 'rate is 1; True or False is needed'),
    ('mean', 1, 'rate is 1; a text is needed'),
  ],
)
def test_others_are_refused(like, value, message):
  with pytest.raises(UserError, match=f'^{message}$'):
    plain(like, 'rate', value)
