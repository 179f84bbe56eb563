"""Which teacher a bundle is compared with, by the card or by --teacher."""

import types

import pytest

from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.cli import bundle_flags
from pidkd_jax.cli.commands import evaluate
from pidkd_jax.core.errors import UserError


def a_bundle(folder, digest, training=None, shape=(8, 8, 3), mean=0.5):
  images = {'image_shape': list(shape), 'mean': [mean] * 3, 'std': [0.25] * 3, 'class_names': None}
  return Bundle(None, {'dataset': images, 'training': training or {}}, digest, folder)


def named(**entries):
  return {'teacher': {'digest': 'd', 'folder': 'there', **entries}}


@pytest.fixture
def give(monkeypatch):
  """Return a function that sets --teacher and what lies in its folder, or in the card's."""

  def give(found, teacher=''):
    given = types.SimpleNamespace(teacher=teacher, bundle='ours', images='')
    monkeypatch.setattr(bundle_flags.flags, 'FLAGS', given)
    monkeypatch.setattr(evaluate, 'FLAGS', given)
    monkeypatch.setattr(bundle_flags, 'load', lambda folder, flag: found)

  return give


def test_another_bundle_where_the_teacher_was_is_not_the_teacher(give):
  card = {'training': named()}
  teacher, other = a_bundle('there', 'd'), a_bundle('there', 'e')
  says = "'there' is not the teacher that the bundle was trained with"
  give(teacher)
  assert bundle_flags.load_teacher(card) == (teacher, '')
  give(other)
  assert bundle_flags.load_teacher(card) == (None, f'{says}; --teacher says where it is')
  give(other, teacher='there')
  with pytest.raises(UserError, match=f'^{says}$'):
    bundle_flags.load_teacher(card)


@pytest.mark.parametrize('entry', [{}, {'folder': 'there'}, {'digest': 'd'}, 'there'])
def test_a_card_that_names_half_a_teacher_is_a_reason(give, entry):
  give(None)
  teacher, reason = bundle_flags.load_teacher({'training': {'teacher': entry}})
  assert teacher is None and reason.startswith('the card names a teacher without its folder or')


@pytest.mark.parametrize(
  ('other', 'what'), [({'shape': (16, 16, 3)}, 'image size'), ({'mean': 0.4}, 'normalisation')]
)
def test_a_teacher_that_would_see_other_pixels_is_refused_unless_the_card_names_it(
  give, other, what
):
  teacher = a_bundle('there', 'd', **other)
  give(teacher, teacher='there')
  with pytest.raises(UserError, match=f"^'there' has another {what} than 'ours', whose card"):
    evaluate._teacher(a_bundle('ours', 's'))
  # The card of a student says how large its teacher's images are.
  assert evaluate._teacher(a_bundle('ours', 's', named())) is teacher
  alike = a_bundle('there', 'd')
  give(alike, teacher='there')
  assert evaluate._teacher(a_bundle('ours', 's')) is alike
