"""Small archives, and no network."""

import pathlib

import pytest
import requests
from tensorflow_datasets.core.download.checksums import compute_url_info

from pidkd_jax.data.sources.cifar100 import Cifar100
from pidkd_jax.data.sources.tiny_imagenet import TinyImagenet
from tests.data.archives import cifar_members, tiny_members, write_tar, write_zip

SHARED = pathlib.Path(__file__).resolve().parents[3] / 'shared'


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
  def refuse(*args, **kwargs):
    raise requests.ConnectionError('no network in tests')

  monkeypatch.setattr(requests, 'head', refuse)
  monkeypatch.setattr(requests, 'get', refuse)
  monkeypatch.setattr(requests.Session, 'get', refuse)


@pytest.fixture
def shared():
  """The folder of real images beside the checkout."""
  if not SHARED.is_dir():
    pytest.skip(f'needs the real images in {SHARED}')
  return SHARED


@pytest.fixture
def cifar_archive(tmp_path):
  return write_tar(tmp_path / 'Small CIFAR.tar.gz', cifar_members())


@pytest.fixture
def tiny_archive(tmp_path):
  return write_zip(tmp_path / 'small.zip', tiny_members())


@pytest.fixture
def make_official(monkeypatch):
  """A function that makes an archive's checksum the official one of its dataset."""

  def make(archive):
    builder = TinyImagenet if archive.suffix == '.zip' else Cifar100
    [(url, info)] = builder.url_infos.items()
    measured = compute_url_info(archive)
    measured.filename = info.filename
    monkeypatch.setattr(builder, 'url_infos', {url: measured})
    return url

  return make
