"""A server with the few endpoints of the Hugging Face hub that a push and a pull call."""

import base64
import contextlib
import hashlib
import http.server
import json
import threading
import urllib.parse

TOKEN = 'hf_toy'
_COMMIT = '0123456789' * 4


class Hub:
  """Repositories in memory.

  Attributes:
    files: {repository: {file: its bytes}}.
    branches: {repository: its branches}.
    private: the repositories that need a token.
    sizes: {file: the size that is told in place of the true one}.
    asked: the files that were asked for.
  """

  def __init__(self):
    self.files = {}
    self.branches = {}
    self.private = set()
    self.sizes = {}
    self.asked = []

  @contextlib.contextmanager
  def serve(self):
    """Yield the server's address."""
    handler = type('Handler', (_Handler,), {'hub': self})
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
      thread = threading.Thread(target=server.serve_forever, args=(0.01,))
      thread.start()
      yield f'http://127.0.0.1:{server.server_port}'
      server.shutdown()
      thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
  hub: Hub

  def log_message(self, *_):
    pass

  def _send(self, body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    self.send_response(status)
    for name, value in {'Content-Length': len(content), **headers}.items():
      self.send_header(name.replace('_', '-'), str(value))
    self.end_headers()
    if self.command != 'HEAD':
      self.wfile.write(content)

  def _refuse(self, code, status=404):
    self._send({'error': code}, status, X_Error_Code=code)

  def _known(self, repository):
    authorised = self.headers.get('Authorization') == f'Bearer {TOKEN}'
    hidden = repository in self.hub.private and not authorised
    if repository not in self.hub.files or hidden:
      self._refuse('RepoNotFound', 404 if authorised else 401)
      return False
    return True

  def do_GET(self):
    path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
    parts = path.strip('/').split('/')
    if parts[:2] == ['api', 'models']:
      self._describe('/'.join(parts[2:4]), parts[5] if len(parts) > 5 else 'main')
    else:  # user/name/resolve/revision/file
      self._file('/'.join(parts[:2]), '/'.join(parts[4:]))

  do_HEAD = do_GET

  def _describe(self, repository, revision):
    if not self._known(repository):
      return
    if revision not in self.hub.branches[repository]:
      self._refuse('RevisionNotFound')
      return
    files = self.hub.files[repository]
    siblings = [
      {'rfilename': name, 'size': self.hub.sizes.get(name, len(content)), 'blobId': 'b'}
      for name, content in files.items()
    ]
    self._send(
      {
        'id': repository,
        'sha': _COMMIT,
        'private': repository in self.hub.private,
        'siblings': siblings,
        'tags': [],
      }
    )

  def _file(self, repository, name):
    if not self._known(repository):
      return
    files = self.hub.files[repository]
    if name not in files:
      self._refuse('EntryNotFound')
      return
    self.hub.asked.append(name)
    etag = f'"{hashlib.sha1(files[name]).hexdigest()}"'
    self._send(files[name], X_Repo_Commit=_COMMIT, ETag=etag)

  def do_POST(self):
    body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
    parts = urllib.parse.unquote(self.path.partition('?')[0]).strip('/').split('/')
    if self.headers.get('Authorization') != f'Bearer {TOKEN}':
      self._refuse('Unauthorized', 401)
    elif parts == ['api', 'repos', 'create']:
      self._create(json.loads(body))
    elif parts[4:5] == ['preupload']:
      names = [one['path'] for one in json.loads(body)['files']]
      modes = [{'path': n, 'uploadMode': 'regular', 'shouldIgnore': False} for n in names]
      self._send({'files': modes})
    elif parts[4:5] == ['branch']:
      self.hub.branches['/'.join(parts[2:4])].add(parts[5])
      self._send({})
    elif parts[4:5] == ['commit']:
      self._commit('/'.join(parts[2:4]), body)
    else:  # The check of the front matter.
      self._send({'errors': [], 'warnings': []})

  def _create(self, wanted):
    repository = f'{wanted["organization"]}/{wanted["name"]}'
    address = f'http://{self.headers["Host"]}/{repository}'
    if repository in self.hub.files:
      self._send({'error': 'You already created this model repo', 'url': address}, 409)
      return
    self.hub.files[repository], self.hub.branches[repository] = {}, {'main'}
    if wanted.get('visibility') == 'private':
      self.hub.private.add(repository)
    self._send({'url': address, 'id': repository})

  def _commit(self, repository, body):
    for line in body.decode().splitlines():
      entry = json.loads(line)
      if entry['key'] == 'file':
        content = base64.b64decode(entry['value']['content'])
        self.hub.files[repository][entry['value']['path']] = content
    address = f'http://{self.headers["Host"]}/{repository}/commit/{_COMMIT}'
    self._send({'success': True, 'commitOid': _COMMIT, 'commitUrl': address})
