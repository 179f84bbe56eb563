"""A writer of metrics that keeps what it gets."""

from pidkd_jax.training.writers import Writer
from pidkd_jax.training.writers.ledger import Ledger


class Toy(Writer):
  """Keep calls in `calls`, and each row once, as writers with a server do."""

  module = 'json'
  calls = []

  def __init__(self, training):
    self._ledger = Ledger(training.folder, 'toy')
    for member in training.members:
      if self._ledger.run(member) is None:
        self._ledger.begin(member, f'id-{member}')
    self.calls.append(('open', training.name, dict(training.members)))

  def write(self, rows):
    unsent = list(self._ledger.unsent(rows))
    for row in unsent:
      if self._ledger.run(row['member']) is None:
        self._ledger.begin(row['member'], f'id-{row["member"]}')
    self.calls += [('row', row['member'], row['step']) for row in unsent]
    self._ledger.sent(unsent)

  def summarise(self, results):
    self.calls.append(('results', results))

  def close(self, complete):
    self.calls.append(('close', complete))


class Broken(Writer):
  """A writer whose server is gone."""

  module = 'json'

  def __init__(self, training):
    del training

  def write(self, rows):
    raise ConnectionError('no route to host\nand more')

  def close(self, complete):
    raise AssertionError('it was dropped')
