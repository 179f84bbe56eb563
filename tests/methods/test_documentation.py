"""What docstrings say of methods, for help and lists."""

import pytest

from pidkd_jax import methods


@pytest.mark.parametrize('name', methods.names())
def test_every_method_and_each_of_its_hyper_parameters_is_explained(name):
  assert methods.summary(name).endswith('.') and '`' not in methods.summary(name)
  meanings = methods.meanings(name)
  assert list(meanings) == list(methods.defaults(name))
  assert all(text and '`' not in text and '\n' not in text for text in meanings.values())


def test_a_summary_is_the_first_line_of_the_class():
  assert methods.summary('sp') == 'Similarity-preserving distillation.'


def test_a_method_with_fixed_hyper_parameters_names_those_that_differ_from_its_class():
  line = methods.summary('simkd_published')
  assert line.startswith('SimKD: one projector')
  assert line.endswith('; num_projectors=1, weight=1.0, normalize=False.')
  assert methods.summary('wide').startswith('One projector as large as')


def test_a_class_explains_its_field_before_those_above_it():
  assert methods.meanings('wide')['factor'] == 'f of that stack.'
  assert methods.meanings('wide')['warmup'].startswith('the share of the training')


def test_a_method_of_ones_own_may_leave_its_fields_unexplained():
  name = 'tests.methods.own:Cosine'
  assert methods.summary(name)
  assert (
    {'label_weight', 'temperature'}
    <= methods.meanings(name).keys()
    <= methods.defaults(name).keys()
  )
