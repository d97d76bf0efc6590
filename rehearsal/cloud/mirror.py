"""The package mirror: the one thing of the outside that machines reach, as a company's mirror would be.

nginx on the host listens on a unix socket and fetches from the Debian archives and the Python index; a second nginx, in
the router's namespace, hands requests from 198.18.0.80 to that socket. So the namespaces need no way out.

What never changes (packages, lists by their hash) is kept for good in the cache, which worlds share: a file appears
there whole, by rename. Lists that change are kept for half an hour, and served stale while the outside can't be
reached.

Addresses of the outside are found at run time: the archives that the image was built from, and pip's own index.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rehearsal.cloud import daemon, network
from rehearsal.cloud.image import SUITE, Image
from rehearsal.cloud.world import World, WorldFailed

DAEMON = "mirror"
FRONT = "mirror-front"

_FIND_INDEX = """
import json
from pip._internal.configuration import Configuration
from pip._internal.models.index import PyPI
configuration = Configuration(isolated=False)
configuration.load()
urls = {key.rpartition(".")[2]: value for key, value in configuration.items()}  # global first, then user, environment
print(json.dumps([urls.get("index-url") or PyPI.simple_url, PyPI.file_storage_domain]))
"""


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """A site behind the mirror. base: URL without a final slash; authorization: a header's value, or ""."""

    base: str
    authorization: str = ""

    @property
    def origin(self) -> str:
        url = urlsplit(self.base)
        return f"{url.scheme}://{url.netloc}"

    @property
    def path(self) -> str:
        return urlsplit(self.base).path.rstrip("/")


@dataclass(frozen=True, kw_only=True)
class PythonIndex:
    """The index's pages, and the site that keeps its files."""

    simple: Upstream
    files: Upstream


class NoPythonIndex(WorldFailed):
    """No pip on this host to tell where the Python index is."""


class NoPackages(WorldFailed):
    """Machines could not install anything."""


def ensure(world: World, image: Image) -> None:
    """Starts the mirror of this world, or makes the running one follow its configuration."""
    store = world.cache / "packages"
    for folder in ("files", "index", "tmp"):
        (store / folder).mkdir(parents=True, exist_ok=True)
    socket = world.runtime / "mirror.sock"
    index = python_index()
    _serve(world, DAEMON, mirror_configuration(image.upstreams, index, store, socket, resolvers()), socket=socket)
    _serve(world, FRONT, front_configuration(socket, world.runtime), place=network.ROUTER)


def require_packages(world: World, image: Image) -> None:
    """Asks for what every first boot needs. Raises NoPackages when it is neither kept nor to be had.

    Without it a machine would try for minutes, and fail.
    """
    wanted = {
        "the Debian archive": (f"debian/dists/{SUITE}/InRelease", image.upstreams["debian"]),
        "the Python index": ("python/simple/pip/", python_index().simple.base),
    }
    for what, (path, upstream) in wanted.items():
        ask = ["curl", "--silent", "--show-error", "--fail", "--output", os.devnull, "--max-time", "20"]
        ask += ["--unix-socket", str(world.runtime / "mirror.sock"), f"http://mirror/{path}"]
        done = subprocess.run(ask, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoPackages(
                f"{what} ({upstream}) can't be reached from this machine, and nothing of it is kept: "
                f"{done.stderr.strip()}; do: check the network, its proxy and name servers, and run this again"
            )


def python_index() -> PythonIndex:
    """Where pip gets packages on this host: its configuration (PIP_INDEX_URL too), or its built-in default."""
    for python in dict.fromkeys((sys.executable, "/usr/bin/python3", "python3")):
        found = subprocess.run([python, "-c", _FIND_INDEX], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            simple_url, files_domain = json.loads(found.stdout)
            simple = _upstream(simple_url.rstrip("/"))
            return PythonIndex(simple=simple, files=Upstream(base=f"https://{files_domain}"))
    raise NoPythonIndex("pip is needed to find the Python index: install the package python3-pip")


def resolvers(resolv_conf: Path = Path("/etc/resolv.conf")) -> list[str]:
    """The host's name servers, as nginx writes addresses."""
    lines = [line.split() for line in resolv_conf.read_text().splitlines()]
    servers = [line[1].partition("%")[0] for line in lines if line[:1] == ["nameserver"] and len(line) > 1]
    return [f"[{server}]" if ":" in server else server for server in servers]


def mirror_configuration(
    archives: dict[str, str], index: PythonIndex, store: Path, socket: Path, resolvers: list[str]
) -> str:
    """nginx on the host. archives: Debian archives by the path under which machines see them."""
    paths = ssl.get_default_verify_paths()
    authorities = paths.cafile or paths.openssl_cafile
    if not Path(authorities).exists():
        authorities = "/etc/ssl/certs/ca-certificates.crt"
    locations = "".join(_archive(name, Upstream(base=url)) for name, url in archives.items()) + _python(index)
    return f"""\
user root;
worker_processes 1;
pid {socket.with_suffix(".pid")};
events {{ worker_connections 512; }}
http {{
  access_log off;
  {f"resolver {' '.join(resolvers)};" if resolvers else ""}
  resolver_timeout 5s;
  default_type application/octet-stream;
  sendfile on;
  client_body_temp_path {store}/tmp/body;
  proxy_temp_path {store}/tmp/proxy;
  proxy_cache_path {store}/index keys_zone=index:4m inactive=60d max_size=1g use_temp_path=off;

  proxy_http_version 1.1;
  proxy_connect_timeout 10s;
  proxy_ssl_server_name on;
  proxy_ssl_verify on;
  proxy_ssl_verify_depth 8;
  proxy_ssl_trusted_certificate {authorities};
  proxy_set_header Host $proxy_host;
  proxy_set_header Connection "";
  # Pages are rewritten and files are kept as they are: neither may come compressed.
  proxy_set_header Accept-Encoding "";

  proxy_ignore_headers Cache-Control Expires Set-Cookie Vary X-Accel-Expires;
  proxy_cache_valid 200 301 302 30m;
  proxy_cache_valid 404 1m;
  proxy_cache_use_stale error timeout invalid_header http_429 http_500 http_502 http_503 http_504;
  proxy_cache_revalidate on;
  proxy_cache_lock on;

  server {{
    listen unix:{socket};
    root {store}/files;
{locations}  }}
}}
"""


def front_configuration(socket: Path, runtime: Path) -> str:
    """nginx in the router's namespace: every byte goes to the one on the host."""
    return f"""\
user root;
worker_processes 1;
pid {runtime}/{FRONT}.pid;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {runtime}/front-body;
  proxy_temp_path {runtime}/front-proxy;
  proxy_http_version 1.1;
  proxy_max_temp_file_size 0;
  proxy_read_timeout 120s;
  server {{
    listen {network.MIRROR}:80;
    location / {{
      proxy_set_header Host {network.MIRROR};
      proxy_pass http://unix:{socket};
    }}
  }}
}}
"""


def _archive(name: str, upstream: Upstream) -> str:
    return f"""
    location ~ ^/{name}/(pool/|dists/.+/by-hash/) {{ try_files $uri @{name}; }}
    location @{name} {{
{_keep()}{_fetch(name, upstream)}    }}
    location /{name}/ {{
      proxy_cache index;
      proxy_cache_key $uri;
{_fetch(name, upstream)}    }}
"""


def _python(index: PythonIndex) -> str:
    here = f"http://{network.MIRROR}"
    # An index may give its files' addresses in full, on the files' site or on its own, or as ../../file.
    sites = {
        "python-files": index.files,
        "python-site": replace(index.simple, base=index.simple.origin),
        "python": replace(index.simple, base=index.simple.base.rpartition("/")[0]),
    }
    files = "".join(
        f"""
    location /{name}/ {{ try_files $uri @{name}; }}
    location @{name} {{
{_keep()}{_fetch(name, site)}    }}
"""
        for name, site in sites.items()
    )
    return f"""
    location /python/simple/ {{
      proxy_cache index;
      # The same page comes as HTML or JSON, by what the client accepts.
      proxy_cache_key $uri$http_accept;
      proxy_redirect {index.simple.origin}{index.simple.path}/ /python/simple/;
      proxy_redirect {index.simple.path}/ /python/simple/;
      sub_filter {index.files.origin}/ {here}/python-files/;
      sub_filter {index.simple.origin}/ {here}/python-site/;
      sub_filter_once off;
      sub_filter_types application/vnd.pypi.simple.v1+html application/vnd.pypi.simple.v1+json;
{_fetch("python/simple", index.simple)}    }}
{files}"""


def _keep() -> str:
    # Remembered before the rewrite, which changes $uri. nginx keeps complete answers only.
    return """\
      set $kept $uri;
      proxy_store $document_root$kept;
      proxy_store_access user:rw group:r all:r;
"""


def _fetch(name: str, upstream: Upstream) -> str:
    authorization = (
        f'      proxy_set_header Authorization "{upstream.authorization}";\n' if upstream.authorization else ""
    )
    # The variable makes nginx look the name up when it is needed: it starts without a network too.
    return f"""\
{authorization}      set $upstream {upstream.origin};
      rewrite ^/{name}/(.*)$ {upstream.path}/$1 break;
      proxy_pass $upstream;
"""


def _upstream(url: str) -> Upstream:
    """Splits user and password off a URL, if there are any."""
    parts = urlsplit(url)
    if not parts.username:
        return Upstream(base=url)
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    netloc = parts.netloc.rpartition("@")[2]
    return Upstream(
        base=parts._replace(netloc=netloc).geturl(),
        authorization=f"Basic {base64.b64encode(credentials.encode()).decode()}",
    )


def _serve(
    world: World, name: str, configuration: str, *, socket: Path | None = None, place: str | None = None
) -> None:
    world.runtime.mkdir(parents=True, exist_ok=True)
    file = world.runtime / f"{name}.conf"
    pid = world.runtime / f"{name}.pid"
    with world.lock(f"serve-{name}"):
        changed = not file.exists() or file.read_text() != configuration
        file.touch(mode=0o600)
        file.write_text(configuration)
        if daemon.running(world, name):
            if changed:
                daemon.send(world, name, signal.SIGHUP)
            return
        for stale in (pid, socket):
            if stale:
                stale.unlink(missing_ok=True)
        daemon.start(world, name, ["nginx", "-e", "stderr", "-c", str(file), "-g", "daemon off;"], place=place)
        daemon.await_ready(world, name, pid)  # written once it listens
