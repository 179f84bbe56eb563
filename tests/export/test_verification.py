"""Agreement of a file with its bundle, in numbers checked by hand."""

import pytest

from pidkd_jax.cli.commands import export as command
from pidkd_jax.core.errors import UserError
from pidkd_jax.export import verification


def agreement(**changed):
  return verification.Agreement(
    **{
      'images': 100,
      'largest_difference': 5e-5,
      'other_predictions': 0,
      'top1': 0.5,
      'bundle_top1': 0.5,
      **changed,
    }
  )


def test_an_agreeing_exact_file_passes():
  verification.require('file', agreement(), None)


@pytest.mark.parametrize(
  'changed',
  [
    {'largest_difference': 1.1e-4},
    {'largest_difference': float('nan')},
    {'top1': 0.51},
    {'top1': 0.49},
  ],
)
def test_a_differing_exact_file_is_refused(changed):
  with pytest.raises(UserError, match='is not kept'):
    verification.require('file', agreement(**changed), None)


def test_an_inexact_file_may_lose_so_much():
  lossy = agreement(largest_difference=3.0, other_predictions=9, top1=0.48)
  assert lossy.loss == pytest.approx(2)
  verification.require('file', lossy, 2.01)
  with pytest.raises(UserError, match='costs 2.00 points'):
    verification.require('file', lossy, 1.99)
  with pytest.raises(UserError):
    verification.require('file', agreement(largest_difference=float('nan')), 100)


def test_a_result_is_a_line_that_fits_a_terminal():
  facts = {'bytes': 123456789, 'verification': agreement(top1=0.48).to_card()}
  line = command._result('onnx_int8', facts)
  assert line.split() == ['onnx_int8', '123,456,789', '5e-05', '0', '48.00', '2.00']
  assert len(line) <= 80
