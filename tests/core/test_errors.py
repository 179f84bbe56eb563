"""Messages name the value and the remedy."""

import pytest

from pidkd_jax.core.errors import Stopped, UserError, printable, respelled, unknown_name


def test_a_misspelt_name_gets_the_nearest_and_all():
  error = unknown_name('model', 'resnet8x5', ['wrn_16_2', 'resnet8x4'])
  assert isinstance(error, UserError)
  assert str(error) == (
    "unknown model 'resnet8x5'; did you mean 'resnet8x4'? there are: resnet8x4, wrn_16_2"
  )


def test_a_name_unlike_all_others_gets_no_guess():
  assert str(unknown_name('model', 'zzz', ['a', 'b'])) == "unknown model 'zzz'; there are: a, b"


def test_after_ten_names_a_command_lists_the_others():
  names = [f'n{number:02}' for number in range(12)]
  ten = ', '.join(names[:10])
  for command, end in (('pidkd networks', ' and 2 more: pidkd networks'), ('', ' and 2 more')):
    assert str(unknown_name('model', 'zzz', names, command)).endswith(f'there are: {ten}{end}')
  assert str(unknown_name('model', 'zzz', names[:10], 'pidkd networks')).endswith(ten)


def test_stopped_carries_its_exit_status():
  stopped = Stopped('stopped at step 3', status=143)
  assert (str(stopped), stopped.status) == ('stopped at step 3', 143)


def test_a_name_cannot_steer_a_terminal():
  assert printable('ant\x1b[2J\u202e\r bee é\n') == 'ant\\x1b[2J\\u202e\\r bee é\n'


def test_parameters_are_respelled_and_others_stay():
  names = {'archive': '--archive', 'limit=0': '--stream'}
  with pytest.raises(UserError) as raised, respelled(names):
    raise UserError('`archive` is x; `archive=a b`, `limit=0`, `limit=1` or `other`')
  assert str(raised.value) == '--archive is x; --archive=a b, --stream, `limit=1` or `other`'
