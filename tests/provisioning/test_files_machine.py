"""What each proxy serves from disk, on real machines: of this release, the one before and uploads; nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from provisioning import app
from provisioning.origin import ProxyOptions, configuration
from settings import App
from tests.provisioning.origin_host import HOSTNAME, RANGES, OriginHost, Site
from tests.provisioning.test_origin_machine import SECURITY, Answer, Door

pytestmark = pytest.mark.machines

APP = """
import os, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/save":
        with open(os.environ["ORIGIN_SHARED"] + "/uploads/" + environ["QUERY_STRING"], "wb") as file:
            file.write(environ["wsgi.input"].read())
    if path == "/link":
        os.symlink("/etc/origin/current/tls/key.pem", os.environ["ORIGIN_SHARED"] + "/uploads/key.txt")
        os.symlink("/etc", os.environ["ORIGIN_SHARED"] + "/uploads/etc")
    status = {"/502": "502 Bad Gateway", "/health": "200 OK"}.get(path, "404 Not Found")
    start_response(status, [("Content-Type", "text/plain"), ("X-From", "app")])
    return [("app " + environ["REQUEST_METHOD"] + " " + environ["REQUEST_URI"]).encode()]
"""
LARGE = "body { color: red }\n" * 200
HASHED, VITE = "app.3f2a90c1b4d5.js", "index-BxZ3_k9q.css"
FILES = {
    "app.py": APP,
    "requirements.txt": "waitress==3.0.2\n",
    "down.html": "<!doctype html><meta charset=utf-8><h1>Gleich zurück</h1>\n",
    "static/site.css": LARGE,
    "static/large.txt": "a line of text\n" * 1000,
    f"static/{HASHED}": "let a = 1\n" * 100,
    f"static/dist/assets/{VITE}": LARGE,
    "static/tiny.js": "a",
    "static/favicon.ico": "icon" * 100,
    "static/odd name, äöü (1).svg": "<svg xmlns='http://www.w3.org/2000/svg'/>\n",
    "static/no-ending": "x",
    "static/index.html": "<h1>index</h1>",
    "static/a%20b.css": "canary",
    "static/.env": "SECRET=canary",
    "static/.git/config": "canary",
    "static/module.py": "canary = 1",
}
SECOND = {**FILES, "static/site.css": LARGE.replace("red", "tan"), "static/new.css": "new"}
del SECOND[f"static/{HASHED}"]


def deploy(host: OriginHost, folder: Path, files: Mapping[str, str]) -> None:
    """As `pulumi up` does."""
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "static/out.txt").symlink_to("../app.py")
    (folder / "static/in.css").symlink_to("site.css")
    settings = App.model_validate({
        "source": str(folder), "entrypoint": "app:app", "health": {"path": "/health"}, "error_page": "down.html",
        "static": {"/static": "static", "/favicon.ico": "static/favicon.ico"}, "uploads": ["/uploads"], "drain": 1,
    })  # fmt: skip
    packed = app.archive(folder, folder.with_name("archives"))
    manifest = {**app.manifest(packed, settings, "app:app", HOSTNAME), "environment": {"SECRET": "canary"}}
    host.path(manifest["archive"]).write_bytes(packed.path.read_bytes())
    host.run("release", "deploy", input=json.dumps(manifest))


@pytest.fixture(scope="module")
def door(proxied: OriginHost, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The second release of two, with uploads."""
    host, folder = proxied, tmp_path_factory.mktemp("files")
    (folder / "client.pem").write_text(site.client.certificate + site.client.key)
    for files in (FILES, SECOND):
        deploy(host, folder / "app", files)
    document = site.document(proxy=host.proxy)
    options = ProxyOptions(kind=host.proxy, restart_wait=1, static=("/static", "/favicon.ico"), uploads=("/uploads",))
    document["files"] |= configuration(hostname=HOSTNAME, redirects=[], ranges=RANGES, proxy=options)
    host.configure(document)
    yield Door(host=host, certificates=folder)
    host.configure(site.document(proxy=host.proxy))
    host.run("sh", "-c", "systemctl stop 'app@*'; rm -rf /srv/app/current* /srv/app/previous /srv/app/releases/*")


def said(answer: Answer, name: str) -> str:
    (value,) = answer.all(name) or [""]
    return value


def from_app(answer: Answer) -> bool:
    return said(answer, "x-from") == "app"


def encoded(door: Door, path: str, accepted: str, tmp_path: Path) -> tuple[Answer, bytes]:
    """The answer as it came, and its bytes."""
    raw = tmp_path / "raw"
    options = ("-H", f"Accept-Encoding: {accepted}", "--no-include", "-D", "-", "-o", str(raw))
    return door.ask(path, *options), raw.read_bytes()


MINUTE, YEAR = "public, max-age=60", "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("path", "body", "kind", "age"),
    [
        ("/static/site.css", SECOND["static/site.css"], "text/css; charset=utf-8", MINUTE),
        ("/static/%73ite.css?v=1", SECOND["static/site.css"], "text/css; charset=utf-8", MINUTE),
        ("/static/in.css", SECOND["static/site.css"], "text/css; charset=utf-8", MINUTE),
        ("/static/new.css", "new", "text/css; charset=utf-8", MINUTE),
        (f"/static/{HASHED}", FILES[f"static/{HASHED}"], "text/javascript; charset=utf-8", YEAR),  # of the one before
        (f"/static/dist/assets/{VITE}", LARGE, "text/css; charset=utf-8", YEAR),
        ("/static/tiny.js", "a", "text/javascript; charset=utf-8", MINUTE),
        ("/static/no-ending", "x", "application/octet-stream", MINUTE),
        ("/static/index.html", "<h1>index</h1>", "text/html; charset=utf-8", MINUTE),
        ("/favicon.ico", "icon" * 100, "image/x-icon", MINUTE),
        ("/static/odd%20name,%20%C3%A4%C3%B6%C3%BC%20(1).svg", FILES["static/odd name, äöü (1).svg"], "image/svg+xml",
         MINUTE),
    ],
)  # fmt: skip
def test_a_file_from_disk(door: Door, path: str, body: str, kind: str, age: str) -> None:
    for protocol in ("--http1.1", "--http2"):
        answer = door.ask(path, protocol)
        assert (answer.status, answer.body, from_app(answer)) == (200, body, False)
        assert (said(answer, "content-type"), said(answer, "cache-control")) == (kind, age)
        assert said(answer, "vary").lower() == "accept-encoding"
        assert said(answer, "content-encoding") == ""
        assert said(answer, "content-length") == str(len(body.encode()))
        assert said(answer, "etag") and said(answer, "last-modified") and said(answer, "x-request-id")
        for name, value in SECURITY.items():
            assert answer.all(name) == [value]
        head = door.ask(path, protocol, "-I")
        assert (head.status, head.body) == (200, "")
        varies = ("date", "x-request-id")
        assert {h for h in head.headers if h[0] not in varies} == {h for h in answer.headers if h[0] not in varies}


@pytest.mark.parametrize(
    "path",
    [
        *("/static", "/static/", "/static/dist", "/static/dist/", "/static//site.css", "//static/site.css"),
        *("/static/.env", "/static/.git/config", "/static/module.py", "/static/out.txt", "/static/%2eenv"),
        *("/static/none.css", "/static/none.3f2a90c1b4d5.css", "/app.py", "/requirements.txt", "/down.html"),
        *("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/%2e%2e%2fapp.py"),
        *("/static/..%5capp.py", "/static/....//app.py", "/static/dist/../../app.py", "/static/%252e%252e/app.py"),
        *("/../../static/plain/static/site.css", "/%2e%2e/%2e%2e/static/plain/static/site.css", "/static/a%2520b.css"),
        *("/static/..;/app.py", "/static/%c0%ae%c0%ae/app.py", "/../srv/app/current/public/error.html"),
        *("/current/public/static/plain/static/site.css", "/public/error.html", "/static/site.css/", "/static/*.css"),
        *("/static/site.css%2f", "/static/site.css%20", "/static/site.css%3f", "/static/site.css.gz"),
        *("/static/site.css.br", "/static/%7Bpath%7D", "/static/$uri", "/favicon.ico/x", "/favicon.icon"),
    ],
)  # fmt: skip
def test_all_else_the_app_is_asked_for_as_it_was_asked(door: Door, path: str) -> None:
    answer = door.ask(path, "--path-as-is", "-g")
    assert "canary" not in answer.body
    if answer.status in (400, 403):  # which some say of what leads out of the site
        assert path.startswith(("/..", "/%2e%2e")) and door.host.proxy != "caddy"
    elif path.startswith("//") and door.host.proxy == "apache":  # which reads it as one
        assert answer.body == SECOND["static/site.css"]
        return
    else:
        assert (answer.status, answer.body) == (404, f"app GET {path}")
    assert "immutable" not in said(answer, "cache-control")
    assert said(answer, "etag") == ""


def test_a_null_byte_is_refused(door: Door) -> None:
    for path in ("/static/site.css%00", "/static/%00", "/static/site.css%00.png"):
        answer = door.ask(path)
        assert answer.status in (400, 404), answer
        assert "color" not in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_another_method_is_the_apps(door: Door, method: str) -> None:
    answer = door.ask("/static/site.css", "-X", method)
    assert (answer.status, answer.body) == (404, f"app {method} /static/site.css")


def test_a_posted_body_reaches_the_app_at_a_files_path(door: Door) -> None:
    answer = door.ask("/static/site.css", "-d", "x" * 1000)
    assert (answer.status, answer.body) == (404, "app POST /static/site.css")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("br, gzip", "br"),
        ("gzip", "gzip"),
        ("gzip, deflate, br;q=0", "gzip"),
        ("gzip;q=0.000", ""),
        ("gzip;q=0.001", "gzip"),
        ("GZIP", ""),
        ("identity", ""),
        ("zstd", ""),
        ("xbr, gzipped", ""),
        ("*", ""),
        ("deflate , gzip ; q=1.0 , br ; q=0.5", "br"),
    ],
)
def test_precompressed(door: Door, tmp_path: Path, accepted: str, coding: str) -> None:
    answer, raw = encoded(door, "/static/site.css", accepted, tmp_path)
    assert (answer.status, said(answer, "content-encoding")) == (200, coding)
    assert said(answer, "content-type") == "text/css; charset=utf-8"
    assert said(answer, "vary").lower() == "accept-encoding"
    assert said(answer, "content-length") == str(len(raw))
    (tmp_path / "whole").write_bytes(raw)
    text = {"br": ["brotli", "-dc"], "gzip": ["gzip", "-dc"], "": ["cat"]}[coding]
    door.host.path("/run/raw").write_bytes(raw)
    assert door.host.run("sh", "-c", f"{' '.join(text)} < /run/raw") == SECOND["static/site.css"]
    assert coding == "" or len(raw) < 200


def test_what_does_not_get_smaller_is_as_it_is(door: Door, tmp_path: Path) -> None:
    for path in ("/static/tiny.js", "/static/no-ending"):
        answer, _ = encoded(door, path, "br, gzip", tmp_path)
        assert said(answer, "content-encoding") == ""


def test_each_coding_has_an_etag_of_its_own_and_is_asked_for_again_by_it(door: Door, tmp_path: Path) -> None:
    tags = {}
    for accepted in ("br", "gzip", "identity"):
        answer, _ = encoded(door, "/static/site.css", accepted, tmp_path)
        tags[accepted] = said(answer, "etag")
    assert len({*tags.values()}) == 3
    for accepted, tag in tags.items():
        again = door.ask("/static/site.css", "-H", f"Accept-Encoding: {accepted}", "-H", f"If-None-Match: {tag}")
        assert (again.status, again.body, said(again, "etag")) == (304, "", tag)
        assert said(again, "cache-control") == MINUTE
        assert said(again, "vary").lower() == "accept-encoding"
        others = [other for name, other in tags.items() if name != accepted]
        options = ["--no-include", "-D", "-", "-o", str(tmp_path / "raw"), "-H", f"If-None-Match: {', '.join(others)}"]
        assert door.ask("/static/site.css", "-H", f"Accept-Encoding: {accepted}", *options).status == 200


def test_asked_again_by_time(door: Door) -> None:
    since = said(door.ask("/static/site.css"), "last-modified")
    assert door.ask("/static/site.css", "-H", f"If-Modified-Since: {since}").status == 304
    assert door.ask("/static/site.css", "-H", "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT").status == 200


@pytest.mark.parametrize(
    ("asked", "status", "bytes_", "range_"),
    [
        ("bytes=0-13", 206, "a line of text", "bytes 0-13/15000"),
        ("bytes=14990-", 206, "e of text\n", "bytes 14990-14999/15000"),
        ("bytes=-5", 206, "text\n", "bytes 14995-14999/15000"),
        ("bytes=0-99999", 206, None, "bytes 0-14999/15000"),
        ("bytes=15000-", 416, None, "bytes */15000"),
        ("bytes=5-2", None, None, None),
        ("lines=1-2", None, None, None),
        ("bytes=0-1,4-5", 200, None, ""),
        ("bytes=" + ",".join(f"{n}-" for n in range(1000)), None, None, None),
    ],
)
def test_ranges(door: Door, asked: str, status: int | None, bytes_: str | None, range_: str | None) -> None:
    answer = door.ask("/static/large.txt", "-H", f"Range: {asked}")
    # Of what makes no sense any of these may be said; Apache joins ranges that overlap to one.
    assert answer.status in ((status,) if status else (200, 206, 416))
    assert len(answer.body) <= 15_000
    if range_ is not None and (answer.status != 416 or door.host.proxy != "apache"):  # which leaves it out
        assert said(answer, "content-range") == range_
    if bytes_ is not None:
        assert answer.body == bytes_


def test_a_range_of_what_is_compressed(door: Door, tmp_path: Path) -> None:
    _, raw = encoded(door, "/static/large.txt", "gzip", tmp_path)
    part = tmp_path / "part"
    options = ["--no-include", "-D", "-", "-o", str(part), "-H", "Accept-Encoding: gzip", "-H", "Range: bytes=2-9"]
    answer = door.ask("/static/large.txt", *options)
    assert (answer.status, said(answer, "content-encoding")) == (206, "gzip")
    assert said(answer, "content-range") == f"bytes 2-9/{len(raw)}"
    assert part.read_bytes() == raw[2:10]


def test_a_file_is_fresh_through_a_release_that_did_not_change_it(door: Door, tmp_path: Path) -> None:
    kept, changed = (said(door.ask(f"/static/{name}"), "etag") for name in ("large.txt", "site.css"))
    third = {**SECOND, "static/site.css": SECOND["static/site.css"].replace("tan", "red"), "app.py": f"{APP}\n# third"}
    deploy(door.host, tmp_path / "app", third)
    assert door.ask("/static/large.txt", "-H", f"If-None-Match: {kept}").status == 304
    answer = door.ask("/static/site.css", "-H", f"If-None-Match: {changed}")
    assert (answer.status, answer.body) == (200, LARGE)
    assert from_app(door.ask(f"/static/{HASHED}")), "two releases ago"
    door.host.run("release", "rollback")
    answer = door.ask("/static/site.css", "-H", f"If-None-Match: {said(answer, 'etag')}")
    assert (answer.status, answer.body) == (200, SECOND["static/site.css"])


# ---- uploads ----

HARMLESS = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "image/png"),
        ("PHOTO.JPG", "image/jpeg"),
        ("notes.txt", "text/plain; charset=utf-8"),
        ("evil.svg", "image/svg+xml"),
        ("evil.html", "application/octet-stream"),
        ("evil.html.xyz", "application/octet-stream"),
        ("evil.png.html", "application/octet-stream"),
        ("evil.js", "application/octet-stream"),
        ("evil.py", "application/octet-stream"),
        ("evil.php", "application/octet-stream"),
        ("paper.pdf", "application/octet-stream"),
        ("none", "application/octet-stream"),
    ],
)
def test_an_upload_is_shown_and_harmless(door: Door, name: str, kind: str) -> None:
    door.ask(f"/save?{name}", "--data-binary", f"<script>{name}</script>")
    answer = door.ask(f"/uploads/{name}", "-H", "Accept-Encoding: br, gzip")
    assert (answer.status, answer.body, from_app(answer)) == (200, f"<script>{name}</script>", False)
    assert said(answer, "content-type") == kind
    assert said(answer, "cache-control") == "public, max-age=604800"
    assert answer.all("content-security-policy") == [HARMLESS]
    assert answer.all("x-content-type-options") == ["nosniff"]
    assert answer.all("content-encoding") == []
    assert door.ask(f"/uploads/{name}", "-H", f"If-None-Match: {said(answer, 'etag')}").status == 304
    assert door.ask(f"/uploads/{name}", "-H", "Range: bytes=0-7").body == "<script>"


def test_of_uploads_nothing_else_is_shown(door: Door) -> None:
    door.ask("/link")
    door.ask("/save?.env", "-d", "canary")
    door.host.run("sh", "-c", "echo canary > /srv/app/shared/canary; install -d -o app /srv/app/shared/uploads/a")
    for path in ("", "/", "/a", "/a/", "/.env", "/%2eenv", "/../canary", "/%2e%2e/canary", "/none.png"):
        answer = door.ask(f"/uploads{path}", "--path-as-is")
        assert (answer.status, answer.body) == (404, f"app GET /uploads{path}")
    for path in ("/key.txt", "/etc/hostname", "/etc/origin/current/tls/key.pem"):
        answer = door.ask(f"/uploads{path}")
        assert answer.status in (403, 404), path
        assert "PRIVATE" not in answer.body
    assert door.host.run("sh", "-c", "test -L /srv/app/shared/uploads/key.txt && echo there") == "there\n"


def test_no_upload_leads_around_the_mount(door: Door) -> None:
    """By a second decoding, to which a folder called %2e%2e is a way up; nor can the proxy go there itself."""
    decoy, key = "uploads/%2e%2e/%2e%2e/shared/uploads", "/etc/origin/current/tls/key.pem"
    script = f"cd /srv/app/shared && mkdir -p {decoy} && echo decoy > {decoy}/k.txt && ln -sf {key} uploads/k.txt"
    door.host.run("sh", "-c", script)
    path = "/uploads/%252e%252e/%252e%252e/shared/uploads/k.txt"
    answer = door.ask(path)
    assert (answer.status, answer.body) == (404, f"app GET {path}")
    pid = door.host.run("systemctl", "show", "-P", "MainPID", door.host.program.unit).strip()
    listed = door.host.run("nsenter", "-t", pid, "-m", "ls", "/srv/app/shared/uploads", check=False)
    assert listed == ""


def test_an_upload_that_nobody_may_read_is_not_told_as_a_strangers(door: Door) -> None:
    door.ask("/save?mine.png", "-d", "mine")
    door.host.run("chmod", "600", "/srv/app/shared/uploads/mine.png")
    answer = door.ask("/uploads/mine.png")
    assert answer.status in (403, 404)
    assert "cloudflare" not in answer.body


def test_the_proxy_can_write_nothing_of_it(door: Door) -> None:
    pid = door.host.run("systemctl", "show", "-P", "MainPID", door.host.program.unit).strip()
    asked = "cd /srv/app; for f in shared/uploads/x served/uploads/x current/public/x; do touch $f && echo wrote; done"
    into = ("nsenter", "-t", pid, "-m", "runuser", "-u", door.host.program.user, "-G", "upstream", "--", "sh", "-c")
    assert "wrote" not in door.host.run(*into, asked, check=False)
    assert door.host.run(*into, "cat /srv/app/served/uploads/a.png", check=False).startswith("<script>")


# ---- the error page ----


def test_while_the_app_is_down_its_own_page_is_shown(door: Door) -> None:
    live = json.loads(door.host.run("release", "list", "--json"))["live"]
    door.host.run("systemctl", "stop", f"app@{live}")
    try:
        for options in ([], ["--http1.1"], ["-d", "a=b"], ["-H", "Range: bytes=0-3"], ["-H", "If-None-Match: *"]):
            answer = door.ask("/any", *options)
            assert (answer.status, answer.body) == (502 if door.host.proxy != "apache" else 503, FILES["down.html"])
            assert said(answer, "content-type").startswith("text/html")
            assert "8859" not in said(answer, "content-type")
            assert (said(answer, "cache-control"), said(answer, "retry-after")) == ("no-store", "5")
            assert re.fullmatch("[0-9A-Za-z@_-]{24,36}", said(answer, "x-request-id"))
            assert answer.all("strict-transport-security") == [SECURITY["strict-transport-security"]]
        assert door.ask("/any", "-I").status in (502, 503)
        assert door.ask("/static/site.css").status == 200
        assert door.ask("/uploads/a.png").status == 200
    finally:
        door.host.run("systemctl", "start", f"app@{live}")
        door.host.run("timeout", "20", "sh", "-c", f"until ss -xlnH | grep -q /run/app/{live}/; do sleep 0.1; done")


def test_what_the_app_says_itself_is_not_replaced(door: Door) -> None:
    answer = door.ask("/502")
    assert (answer.status, answer.body, answer.all("retry-after")) == (502, "app GET /502", [])


def test_maintenance_is_for_files_too(door: Door) -> None:
    door.host.run("release", "maintenance", "on")
    try:
        for path in ("/static/site.css", f"/static/{VITE}", "/uploads/a.png", "/favicon.ico", "/"):
            answer = door.ask(path)
            assert (answer.status, said(answer, "cache-control")) == (503, "no-store"), path
            assert "Back soon" in answer.body
    finally:
        door.host.run("release", "maintenance", "off")
    assert door.ask("/static/site.css").status == 200


# ---- releases ----


def test_no_file_is_lost_in_releases(door: Door, tmp_path: Path) -> None:
    """Each page's files, asked for all the time: one that stays, one that changes, one that goes with each release."""
    pages = [f"https://{HOSTNAME}/static/{name}" for name in ("large.txt", "site.css", f"dist/assets/{VITE}")]
    asked = "while [ ! -e $0 ]; do curl -sk --http1.1 -w '%{http_code}\\n' \"$@\"; done"
    stop = tmp_path / "stop"
    with_client = ["--cert", str(door.certificates / "client.pem"), "--resolve", f"{HOSTNAME}:443:{door.host.ipv4}"]
    argv = ["sh", "-c", asked, str(stop), *with_client, *(part for page in pages for part in ("-o", "/dev/null", page))]
    entered = ["ip", "netns", "exec", door.host.world.namespace("edge"), *argv]
    with subprocess.Popen(entered, stdout=subprocess.PIPE, text=True) as client:
        try:
            for n in range(3):
                deploy(door.host, tmp_path / "app", {**SECOND, "app.py": f"{APP}\n# {n}", "static/site.css": LARGE[n:]})
        finally:
            stop.touch()
        statuses = client.communicate(timeout=60)[0].split()
    print(len(statuses), "answers")
    assert len(statuses) > 50
    assert {*statuses} == {"200"}
