"""Whether a download can begin at all."""

import queue
import threading

import requests


def check_reachable(url: str, patience: float = 8.0) -> None:
  """Asks the server for the file's header.

  TFDS tries for more than three minutes before it says that there is no network; this says so
  within `patience` seconds.

  Args:
    url: what is to be downloaded.
    patience: seconds until an unanswered question counts as no.

  Raises:
    OSError: if the server cannot be reached, does not answer in time or refuses the file.
  """
  outcome = queue.SimpleQueue()

  def ask():
    try:
      requests.head(url, timeout=5, allow_redirects=True).raise_for_status()
      outcome.put(None)
    except requests.RequestException as error:
      outcome.put(error)

  # In a thread: the timeout of requests covers neither the name's resolution nor a chain of
  # redirects. A daemon, so that a resolver that hangs does not keep the process alive.
  threading.Thread(target=ask, daemon=True).start()
  try:
    error = outcome.get(timeout=patience)
  except queue.Empty:
    raise TimeoutError(f'no answer within {patience:g} s') from None
  if error is not None:
    raise error
