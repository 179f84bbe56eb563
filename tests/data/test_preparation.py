"""Preparation: the choice of an archive, the dataset's name, and failures."""

import dataclasses
import errno
import fcntl
import hashlib
import http.server
import inspect
import shutil
import sys
import threading
import time

import pytest
import requests
from absl import logging as absl_logging
from tensorflow_datasets.core import writer
from tensorflow_datasets.core.download.checksums import UrlInfo

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.sources.cifar100 import Cifar100
from pidkd_jax.data.sources.digits import Digits
from pidkd_jax.data.tfds import builder as tfds_builder
from pidkd_jax.data.tfds import download
from pidkd_jax.data.tfds.builder import own_name
from pidkd_jax.data.tfds.download import check_reachable
from tests.data.archives import cifar_members, write_tar


@pytest.fixture
def directory(tmp_path):
  return tmp_path / 'tfds'


@pytest.fixture
def manual(directory):
  folder = directory / 'downloads/manual'
  folder.mkdir(parents=True)
  return folder / 'cifar-100-binary.tar.gz'


def load(directory, **options):
  return data.load('cifar100', directory=str(directory), **options)


def refusal(directory, **options):
  """Return the message of the UserError in which loading ends, which is one line."""
  with pytest.raises(UserError) as error:
    load(directory, **options)
  assert '\n' not in str(error.value)
  return str(error.value)


def test_the_official_archive_has_the_official_name(directory, cifar_archive, make_official):
  make_official(cifar_archive)
  for verify in (True, False):
    spec = load(directory, archive=str(cifar_archive), verify=verify).spec
    assert spec.name == 'cifar100' and spec.normalisation.mean == (0.5071, 0.4867, 0.4408)
    assert 'official archive' in spec.source and 'not' not in spec.source


def test_it_is_found_in_the_manual_folder(directory, manual, cifar_archive, make_official):
  make_official(cifar_archive)
  shutil.copy(cifar_archive, manual)
  assert load(directory).spec.name == 'cifar100'


def test_the_default_directory_is_the_one_of_tfds(
  directory, manual, cifar_archive, make_official, monkeypatch
):
  make_official(cifar_archive)
  shutil.copy(cifar_archive, manual)
  monkeypatch.setenv('TFDS_DATA_DIR', str(directory))
  assert data.load('cifar100').spec.name == 'cifar100'
  assert (directory / 'cifar100/3.0.2').is_dir()


@pytest.mark.parametrize('in_manual_folder', [False, True])
def test_another_archive_is_refused(directory, manual, cifar_archive, in_manual_folder):
  path = shutil.copy(cifar_archive, manual) if in_manual_folder else cifar_archive
  message = refusal(directory, archive='' if in_manual_folder else str(path))
  assert str(path) in message and '58a81ae1' in message and '`verify=False`' in message
  assert not (directory / 'cifar100').exists()


@pytest.mark.parametrize('in_manual_folder', [False, True])
def test_unverified_it_has_a_name_of_its_own(directory, manual, cifar_archive, in_manual_folder):
  path = shutil.copy(cifar_archive, manual) if in_manual_folder else cifar_archive
  spec = load(directory, archive='' if in_manual_folder else str(path), verify=False).spec
  stem = 'cifar_100_binary' if in_manual_folder else 'small_cifar'
  assert spec.name.startswith(f'unverified_{stem}_') and len(spec.name.rpartition('_')[2]) == 8
  assert path.name in spec.source and 'not the official archive' in spec.source
  assert (directory / spec.name).is_dir() and not (directory / 'cifar100').exists()


def test_two_archives_of_one_name_are_two_datasets(directory, tmp_path):
  archive = tmp_path / 'mine.tar.gz'
  specs = []
  for seed in (0, 1):
    write_tar(archive, cifar_members(seed=seed))
    specs.append(load(directory, archive=str(archive), verify=False).spec)
  assert specs[0].name != specs[1].name and specs[0].fingerprint != specs[1].fingerprint


@pytest.mark.parametrize(
  'file, name',
  [
    ('tin100-20.tar.gz', 'unverified_tin100_20_1a2b3c4d'),
    ('My Own (2).ZIP', 'unverified_my_own_2_1a2b3c4d'),
    ('v1.5.tgz', 'unverified_v1_5_1a2b3c4d'),
    ('数.zip', 'unverified_1a2b3c4d'),
    ('a' * 99, f'unverified_{"a" * 40}_1a2b3c4d'),
  ],
)
def test_the_name_of_an_unverified_archive(tmp_path, file, name):
  assert own_name('unverified', tmp_path / file, '1a2b3c4d' * 8) == name


def test_what_is_prepared_needs_no_archive(directory, cifar_archive, make_official):
  make_official(cifar_archive)
  first = load(directory, archive=str(cifar_archive))
  cifar_archive.unlink()
  for archive in ('', str(cifar_archive)):
    assert load(directory, archive=archive).spec.fingerprint == first.spec.fingerprint


def test_another_archive_is_not_passed_over_for_what_is_prepared(
  directory, tmp_path, cifar_archive, make_official
):
  make_official(cifar_archive)
  load(directory, archive=str(cifar_archive))
  other = write_tar(tmp_path / 'other.tar.gz', cifar_members(seed=1))
  assert 'not the official one' in refusal(directory, archive=str(other))
  assert load(directory, archive=str(other), verify=False).spec.name.startswith('unverified_other_')


def test_an_unverified_archive_is_prepared_once(directory, cifar_archive, monkeypatch):
  first = load(directory, archive=str(cifar_archive), verify=False)
  monkeypatch.setattr(Cifar100, 'download_and_prepare', None)
  again = load(directory, archive=str(cifar_archive), verify=False)
  assert again.spec.fingerprint == first.spec.fingerprint and again.spec.name == first.spec.name


def test_a_missing_archive_is_named(directory, tmp_path):
  message = refusal(directory, archive=str(tmp_path / 'none.tar.gz'))
  assert f'there is no archive {tmp_path}/none.tar.gz' in message


def test_without_array_record_preparing_names_the_package(directory, monkeypatch):
  hidden = [name for name in sys.modules if name.partition('.')[0] == 'array_record']
  for name in ('array_record', *hidden):
    monkeypatch.setitem(sys.modules, name, None)
  with pytest.raises(UserError) as error:
    data.load('digits', directory=str(directory))
  assert str(error.value) == "preparing digits needs array_record: pip install 'pidkd_jax[train]'"
  assert not directory.exists()


def test_a_remote_folder_is_refused():
  assert 'gs://bucket/tfds; stage it to a local folder first' in refusal('gs://bucket/tfds')


def test_a_user_without_a_home_is_told_so():
  assert 'this user has no home folder' in refusal('~nobody-of-this-name/tfds')


def test_an_archive_of_an_unknown_user_is_not_there(directory):
  message = refusal(directory, archive='~nobody-of-this-name/a.tar.gz')
  assert '~nobody-of-this-name/a.tar.gz; correct `archive`' in message


def test_without_network_the_remedy_is_named(directory, manual):
  started = time.monotonic()
  message = refusal(directory)
  assert time.monotonic() - started < 5
  for part in (str(manual.parent), manual.name, '`archive`', 'www.cs.toronto.edu'):
    assert part in message


def test_a_server_that_does_not_answer_is_given_up(monkeypatch):
  release = threading.Event()

  def hang(*args, **kwargs):
    release.wait()
    raise requests.ConnectionError

  monkeypatch.setattr(requests, 'head', hang)
  with pytest.raises(TimeoutError, match='no answer within 0.1 s'):
    check_reachable('http://127.0.0.1/', patience=0.1)
  release.set()
  assert inspect.signature(check_reachable).parameters['patience'].default < 10


@pytest.fixture
def served(tmp_path, monkeypatch):
  """A function that serves bytes as the official archive, with its checksum or another.

  It returns the requests to come, each as the position where it began. `breaks` are the bytes after
  which the first answers end, and `ranges` says whether the server begins where it is asked to.
  It refuses the first `fails` requests for the rest of the file.
  """
  monkeypatch.undo()  # The network is needed, though only this machine's.
  monkeypatch.setattr(download, '_PAUSE', 0)
  monkeypatch.setattr(download, '_BLOCK', 50)  # Of a block that is not whole nothing is kept.
  servers = []

  def serve(content, *, official, breaks=(), ranges=True, fails=0):
    breaks, asked = list(breaks), []

    class Handler(http.server.BaseHTTPRequestHandler):
      def begin(self, start):
        self.send_response(404 if not content else 206 if start else 200)
        self.send_header('Content-Length', str(len(content) - start))
        self.end_headers()

      def do_HEAD(self):
        self.begin(0)

      def do_GET(self):
        wanted = self.headers.get('Range', 'bytes=0-').removeprefix('bytes=').removesuffix('-')
        start = int(wanted) if ranges else 0
        asked.append(start)
        if start and asked.count(start) <= fails:
          self.send_error(503)
          return
        self.begin(start)
        end = breaks.pop(0) if breaks else len(content)
        self.wfile.write(content[start:end])

      def log_message(self, *args):
        pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    servers.append(server)
    [info] = Cifar100.url_infos.values()
    url = f'http://127.0.0.1:{server.server_port}/cifar-100-binary.tar.gz'
    measured = UrlInfo(len(content), hashlib.sha256(content).hexdigest(), info.filename)
    other = dataclasses.replace(measured, checksum=info.checksum)
    monkeypatch.setattr(Cifar100, 'url_infos', {url: measured if official else other})
    return asked

  yield serve
  for server in servers:
    server.shutdown()
    server.server_close()


def test_a_download_is_verified_and_kept(directory, served, cifar_archive, monkeypatch):
  served(cifar_archive.read_bytes(), official=True)
  first = load(directory)
  assert first.spec.name == 'cifar100'
  # Without network and without what was prepared, the kept download does.
  shutil.rmtree(directory / 'cifar100')
  monkeypatch.setattr(requests, 'head', None)
  monkeypatch.setattr(requests, 'get', None)
  assert load(directory).spec.fingerprint == first.spec.fingerprint
  # So does one where TFDS itself keeps it, for this dataset or for one of the same archive.
  [kept] = (directory / 'downloads').glob('*.tar.gz')
  shutil.rmtree(directory / 'cifar100')
  (directory / 'downloads/another').mkdir()
  kept.rename(directory / 'downloads/another' / kept.name)
  assert load(directory).spec.fingerprint == first.spec.fingerprint


def test_a_download_with_another_checksum_is_refused(directory, served, cifar_archive):
  served(cifar_archive.read_bytes(), official=False)
  for _ in range(2):
    assert 'has another sha256 than expected' in refusal(directory)
    assert not [file for file in directory.rglob('*') if file.is_file()]


def test_of_a_download_without_end_no_more_is_read_than_the_file_has(served, tmp_path):
  served(bytes(2**20), official=True)
  [url] = Cifar100.url_infos
  download.fetch(url, UrlInfo(1000, '', 'archive'), tmp_path / 'archive')
  assert 1000 < (tmp_path / 'archive').stat().st_size <= 1000 + download._BLOCK


def test_a_download_that_breaks_off_goes_on(directory, served, cifar_archive):
  """At once, and in the next call after three attempts in a row that brought nothing."""
  content = cifar_archive.read_bytes()
  asked = served(content, official=True, breaks=[100, 300, 300, 300, 300])
  message = refusal(directory)
  assert 'the download of cifar100 broke off' in message and '`archive`' in message
  assert 'goes on after the 300 bytes' in message
  assert load(directory).spec.name == 'cifar100'
  assert asked == [0, 100, 300, 300, 300, 300]
  assert not list(directory.rglob('*.part'))


def test_a_server_that_begins_anew_is_read_anew(directory, served, cifar_archive):
  asked = served(cifar_archive.read_bytes(), official=True, breaks=[100], ranges=False)
  assert load(directory).spec.name == 'cifar100'
  assert asked == [0, 0]


def test_a_server_that_fails_for_a_moment_costs_nothing(directory, served, cifar_archive):
  asked = served(cifar_archive.read_bytes(), official=True, breaks=[100], fails=1)
  assert load(directory).spec.name == 'cifar100'
  assert asked == [0, 100, 100]


def test_the_second_of_two_processes_takes_what_the_first_has_read(tmp_path):
  """It waits for the first one's lock, and finds the file."""
  path, begun = tmp_path / 'archive', threading.Event()

  def first():
    with (tmp_path / 'archive.part').open('ab') as file:
      fcntl.flock(file, fcntl.LOCK_EX)
      begun.set()
      time.sleep(0.2)
      file.write(b'whole')
      file.flush()
      (tmp_path / 'archive.part').rename(path)

  thread = threading.Thread(target=first)
  thread.start()
  begun.wait()
  download.fetch('http://127.0.0.1/', UrlInfo(5, '', None), path)  # No request: none is allowed.
  thread.join()
  assert path.read_bytes() == b'whole' and list(tmp_path.iterdir()) == [path]


def test_the_second_of_two_processes_goes_on_where_the_first_was_stopped(served, tmp_path):
  content = bytes(range(200))
  asked, opened = served(content, official=True), threading.Event()
  [url] = Cifar100.url_infos
  with (tmp_path / 'archive.part').open('ab') as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    arguments = (url, UrlInfo(len(content), '', None), tmp_path / 'archive')
    thread = threading.Thread(target=lambda: (opened.set(), download.fetch(*arguments)))
    thread.start()
    opened.wait()
    time.sleep(0.2)  # It has opened the file and waits.
    file.write(content[:150])
  thread.join()
  assert asked == [150] and (tmp_path / 'archive').read_bytes() == content


def test_two_threads_that_silence_tfds_give_the_output_back():
  before = sys.stdout, absl_logging.get_verbosity()
  first, second = tfds_builder._quiet(), tfds_builder._quiet()
  first.__enter__()
  second.__enter__()
  first.__exit__(None, None, None)
  assert sys.stdout is not before[0]
  second.__exit__(None, None, None)
  assert (sys.stdout, absl_logging.get_verbosity()) == before


def test_a_file_that_the_server_does_not_have_is_refused(directory, served):
  served(b'', official=False)
  assert 'cannot be reached (HTTPError)' in refusal(directory)


@pytest.mark.parametrize(
  'failure',
  [
    OSError(errno.ENOSPC, 'No space left on device'),
    RuntimeError('write() failed: No space left on device; writing x\n=== Source Location Trace'),
  ],
)
def test_a_full_disk_ends_in_one_line_and_loses_nothing(
  directory, cifar_archive, monkeypatch, failure
):
  def fail(self):
    raise failure

  with monkeypatch.context() as patch:
    patch.setattr(writer.Writer, 'finalize', fail)
    message = refusal(directory, archive=str(cifar_archive), verify=False)
  assert 'No space left on device' in message and str(directory) in message
  assert '`directory`' in message
  assert not [file for file in directory.rglob('*') if file.is_file()]
  assert len(load(directory, archive=str(cifar_archive), verify=False).train) == 12


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
  (tmp_path / 'file').write_text('')
  assert f'{tmp_path}/file' in refusal_of_digits(tmp_path / 'file')


def refusal_of_digits(directory):
  with pytest.raises(UserError) as error:
    data.load('digits', directory=str(directory))
  assert '\n' not in str(error.value)
  return str(error.value)


def test_the_slower_of_two_preparers_opens_what_the_faster_made(directory, monkeypatch):
  split_generators = Digits._split_generators

  def overtaken(self, dl_manager):
    monkeypatch.setattr(Digits, '_split_generators', split_generators)
    data.load('digits', directory=str(directory))
    return split_generators(self, dl_manager)

  monkeypatch.setattr(Digits, '_split_generators', overtaken)
  assert len(data.load('digits', directory=str(directory)).train) == 1297
  assert not list(directory.rglob('incomplete*'))


def test_preparing_prints_nothing(directory, cifar_archive, capfd):
  load(directory, archive=str(cifar_archive), verify=False)
  load(directory, archive=str(cifar_archive), verify=False)
  assert capfd.readouterr() == ('', '')
