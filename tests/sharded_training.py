"""Train toys with batches sharded over CPU devices, in one process or several.

python tests/sharded_training.py DEVICES OUT.npz [PORT PROCESSES INDEX]

DEVICES are one or several numbers by commas, each for a training with results of its own, in
OUT-DEVICES.npz. It is a process of its own, as JAX fixes the number of CPU devices at its start.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import virtual_devices

from pidkd_jax import models
from pidkd_jax.data import noise
from pidkd_jax.evaluation import inference
from pidkd_jax.models.network import Network
from pidkd_jax.nn import batch_norm
from pidkd_jax.parallel import devices, processes
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams

BATCH, STEPS, SIZE, CLASSES = 16, 10, 8, 5
# Some have memory banks, or compare the examples of a batch with each other. Several processes
# train the first: what differs there is how batches, states and logits come and go.
METHODS = ('crd', 'pidkd', 'rkd')
# At 0.05, with batches of 16, RKD is so sensitive that rounding grows to 1e-4 within ten steps.
HPARAMS = OptimizerHparams(learning_rate=0.01)


def main(count: int, methods: tuple[str, ...]) -> dict[str, np.ndarray]:
  """Train on `count` devices; return all states, logits and, of all methods, a scanned loss."""
  data = noise.dataset(STEPS * BATCH, SIZE, CLASSES)
  model = models.create('plain:Plain', num_classes=CLASSES)
  image = jax.ShapeDtypeStruct((BATCH, SIZE, SIZE, 3), jnp.float32)
  teacher = Network(jax.jit(model.init)(jax.random.key(0), jnp.zeros(image.shape)), model)
  stream = data.train.batches(
    data.spec.normalisation,
    jax.random.key(1),
    batch_size=BATCH,
    padding=1,
    flip=True,
  )
  cohort = cohorts.assemble(
    [Member(name, 'plain:Plain', name, {}, HPARAMS, 0) for name in methods],
    teacher=teacher,
    dataset=data.spec,
    image=image,
    optimizer=Optimizer(STEPS, (6, 9), 0.1, 0.9),
    key=jax.random.key(2),
  )
  order = stream.order(jnp.int32(0))
  states = cohort.init(stream.batch(order, jnp.int32(0)))
  for step in range(STEPS):
    batch = stream.batch(order, jnp.int32(step))
    states = cohort.step(states, batch, jnp.int32(step))
  assert len(batch.image.sharding.device_set) == devices.count() == count
  assert batch.image.addressable_shards[0].data.shape[0] == BATCH // count
  assert len(batch.image.addressable_shards) == count // jax.process_count()
  assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves(states))
  network = cohort.network('crd-0', states['crd-0'].variables)
  split = inference.eval_batches(data.test, data.spec.normalisation)
  results = {'logits': inference.logits(network, split)}
  # Where images are streamed, each process brings the shards of its own devices.
  own = devices.local_indices(BATCH)
  assert len(own) == BATCH // jax.process_count()
  images = data.train.images[np.asarray(order)[:BATCH]]
  placed = devices.put_sharded(images[own], own, BATCH)
  assert placed.addressable_shards[0].data.shape[0] == BATCH // count
  ours = stream.schedule.finish(placed, order, jnp.int32(0))
  for streamed, resident in zip(
    jax.tree.leaves(ours), jax.tree.leaves(stream.batch(order, 0)), strict=True
  ):
    for one, other in zip(streamed.addressable_shards, resident.addressable_shards, strict=True):
      assert one.index == other.index
      np.testing.assert_array_equal(one.data, other.data)
  if methods == METHODS:
    alone = cohort.subset(['pidkd-0'])
    copied = {'pidkd-0': jax.tree.map(jnp.copy, states['pidkd-0'])}
    scanned = cohorts.scan(alone, copied, stream, order, jnp.int32(0), 4, look_ahead=2)
    results['scanned'] = np.asarray(scanned['pidkd-0'].loss_sums['loss'])
    # Of 8 devices each has 1,058 rows, more than are summed in one stage.
    image = jnp.tile(stream.batch(order, jnp.int32(0)).image, (1, 3, 3, 1))
    results |= staged_norm(image[:, 1:, 1:])
  for path, leaf in jax.tree.leaves_with_path(states):
    results[jax.tree_util.keystr(path)] = np.asarray(leaf)
  return results


def staged_norm(x: jax.Array) -> dict[str, np.ndarray]:
  """Return what a norm gives whose sums run in two stages, as on several GPUs.

  That is statistics and gradients, and how often its program gathers rows of other devices.
  """
  shares = devices.count()

  def norm(x):
    def loss(x, scale, bias):
      y, *statistics = batch_norm.normalize_batch(x, scale, bias, 1e-5, shares)
      return jnp.sum(jnp.sin(y)), statistics

    x, ones = devices.shard_batch(x), jnp.ones(x.shape[-1])
    (dx, *others), statistics = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(x, ones, ones)
    return devices.shard_batch(dx), devices.replicate((*others, *statistics))

  program = jax.jit(norm).lower(x).compile()
  dx, rest = program(x)
  results = (jax.jit(devices.replicate)(dx), *rest, program.as_text().count('all-gather('))
  return {f'norm_{place}': np.asarray(leaf) for place, leaf in enumerate(results)}


if __name__ == '__main__':
  counts, out, *together = sys.argv[1:]
  counts = [int(count) for count in counts.split(',')]
  virtual_devices.use(max(counts))
  if together:
    port, number, index = map(int, together)
    processes.initialize(False, f'localhost:{port}', number, index)
  for count in counts:
    with devices.use_devices(0 if together else count, {'batch_size': BATCH}):
      assert processes.number_on_host() == jax.process_count()
      methods = METHODS[:1] if together else METHODS
      np.savez(f'{out}-{count}.npz', **main(devices.count(), methods))
  jax.distributed.shutdown()  # A fork ends without it, and the others would lose process 0.
