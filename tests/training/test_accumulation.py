"""Gradients of the parts of a batch, against those of the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax import methods
from pidkd_jax.core.errors import UserError
from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses
from pidkd_jax.training import stack, step
from pidkd_jax.training.learner import Learner
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams, Recipe
from tests.plain import Plain


class Linear(Method):
  """Terms of single images, a moving average of their first pixels, and a random number."""

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    pixels = batch.image.reshape(len(batch.image), -1)
    logits = nn.Dense(3)(pixels)
    first = self.variable('seen', 'first', jnp.zeros, ())
    drawn = self.variable('seen', 'drawn', jnp.zeros, (2,))
    if not self.is_initializing():
      first.value = first.value / 2 + pixels[:, 0].mean() / 2
      drawn.value = jnp.stack([drawn.value[1], jax.random.uniform(self.make_rng('method'))])
    return {
      'label': losses.cross_entropy(logits, batch.target),
      'teacher': losses.mean_squared_error(logits, teacher.logits),
    }


@pytest.fixture(scope='module')
def trained(dataset, teacher, batches):
  """Return a function that takes two steps and returns the state."""
  views = [step.observe(teacher, batch) for batch in batches[:2]]
  method = Linear(student=None, target=None, dataset=dataset)

  def trained(number):
    optimizer = Optimizer(3, (), 0.1, 0.9, rule='adamw', clip_norm=0.5, accumulation=number)
    learner = Learner.create(method, optimizer, jax.random.key(0), OptimizerHparams(0.01, 0.1))
    state = step.init(learner, batches[0], teacher)
    update = jax.jit(step.update)
    for index, (batch, view) in enumerate(zip(batches[:2], views, strict=True)):
      state = update(learner, state, batch, view, jnp.int32(index))
    return state

  return trained


def test_the_parts_of_a_batch_give_the_step_of_the_whole(trained, batches):
  whole, halves, images = map(trained, (1, 2, 4))
  for parts in (halves, images):
    # No further state, so a checkpoint holds all.
    assert jax.tree.structure(parts) == jax.tree.structure(whole)
    for name in ('params', 'loss_sums'):
      jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-7),
        *(getattr(state, name) for state in (parts, whole)),
      )
  # What is no parameter goes from part to part, and each part has a key of its own.
  wanted = 0.0
  for batch in batches[:2]:
    first = np.asarray(batch.image)[:, 0, 0, 0]
    for half in first[::2], first[1::2]:
      wanted = wanted / 2 + half.mean() / 2
  np.testing.assert_allclose(halves.collections['seen']['first'], wanted, rtol=1e-5)
  assert len(set(np.asarray(images.collections['seen']['drawn']).tolist())) == 2


def test_parameters_may_depend_on_the_size_of_a_part(dataset, teacher, batches):
  """Those of SemCKD's attention do."""
  target = jax.eval_shape(teacher.encode, batches[0].image)
  method = methods.create('semckd')(student=Plain(num_classes=3), target=target, dataset=dataset)
  learner = Learner.create(method, Optimizer(3, (), 0.1, 0.9, accumulation=2), jax.random.key(0))

  def begin():
    return step.init(learner, batches[0], teacher)

  def advance(state):
    view = step.observe(teacher, batches[0])
    return step.update(learner, state, batches[0], view, jnp.int32(0))

  state = jax.eval_shape(begin)
  assert state.params['query_1']['hidden']['kernel'].shape[0] == len(batches[0].image) // 2
  assert jax.eval_shape(advance, state) == state


def test_equal_members_take_their_parts_side_by_side(dataset, teacher, batches):
  batch, view = batches[0], step.observe(teacher, batches[0])
  method = Linear(student=None, target=None, dataset=dataset)
  optimizer = Optimizer(3, (), 0.1, 0.9, accumulation=2)
  learners = [
    Learner.create(method, optimizer, jax.random.key(seed), OptimizerHparams(rate, 0.1))
    for seed, rate in enumerate((0.1, 0.01))
  ]
  states = [step.init(learner, batch, teacher) for learner in learners]
  alone = [
    step.update(*one, batch, view, jnp.int32(1)) for one in zip(learners, states, strict=True)
  ]
  together = stack.update(stack.stack(learners), stack.stack(states), batch, view, jnp.int32(1))
  for ours, theirs in zip(stack.unstack(together, 2), alone, strict=True):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-7), ours, theirs)


def test_the_parts_of_a_batch_are_of_one_size():
  assert Optimizer.from_recipe(Recipe(1, 12, accumulation=4), 24).accumulation == 4
  with pytest.raises(
    UserError, match='batch_size is 10, and accumulation 4 needs a multiple of 4; take 8 or 12'
  ):
    Optimizer.from_recipe(Recipe(1, 10, accumulation=4), 24)
  with pytest.raises(UserError, match='accumulation 16 needs a multiple of 16; take 16'):
    Optimizer.from_recipe(Recipe(1, 10, accumulation=16), 24)
