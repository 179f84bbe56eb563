"""A quick check of whether a download can begin."""

import queue
import threading

import requests


def check_reachable(url: str, patience: float = 8.0) -> None:
  """Ask the server for a file's header.

  TFDS retries for more than three minutes before it reports that there is no network. This function
  reports it within `patience` seconds.

  Args:
    url: the file to download.
    patience: seconds to wait for the answer.

  Raises:
    OSError: the server cannot be reached, does not answer in time or refuses the file.
  """
  outcome = queue.SimpleQueue()

  def ask():
    try:
      requests.head(url, timeout=5, allow_redirects=True).raise_for_status()
      outcome.put(None)
    except requests.RequestException as error:
      outcome.put(error)

  # The timeout of requests covers neither name resolution nor a chain of redirects, so a thread
  # asks. It is a daemon: a resolver that hangs does not keep the process alive.
  threading.Thread(target=ask, daemon=True).start()
  try:
    error = outcome.get(timeout=patience)
  except queue.Empty:
    raise TimeoutError(f'no answer within {patience:g} s') from None
  if error is not None:
    raise error
