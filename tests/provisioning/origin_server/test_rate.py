from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from origin_server import rate
from provisioning.render import FILES

A, B = "203.0.113.7", "203.0.113.8"


def meter(folder: Path, *, requests: int = 3, seconds: int = 3600, burst: int = 3) -> rate.Meter:
    return rate.Meter(folder / "rate", requests=requests, seconds=seconds, burst=burst)


def allowed(found: rate.Meter, address: str, tries: int) -> int:
    return sum(found.wait(address) == 0 for _ in range(tries))


def test_so_many_at_once_and_no_more(tmp_path: Path) -> None:
    found = meter(tmp_path)
    assert allowed(found, A, 10) == 3
    assert allowed(found, B, 10) == 3


def test_the_wait_is_what_makes_the_next_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    found = meter(tmp_path, requests=60, seconds=60, burst=2)
    assert allowed(found, A, 5) == 2
    wait = found.wait(A)
    assert wait == pytest.approx(1)
    clock[0] += wait - 0.01
    assert found.wait(A) == pytest.approx(0.01)
    clock[0] += 0.02
    assert allowed(found, A, 5) == 1
    clock[0] += 3600  # no more is saved up than one burst
    assert allowed(found, A, 5) == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::a", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::a", "2001:db8:1:3::a", False),
        ("2a06:98c0:3600::103", "2a06:98c0:3600::103", True),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
        ("203.0.113.7", "203.0.113.8", False),
        ("nonsense", "nonsense", True),
        ("nonsense", "", False),
    ],
)
def test_a_visitor_is_an_address_or_a_64(one: str, other: str, same: bool) -> None:
    assert (rate.visitor(one) == rate.visitor(other)) is same


def test_threads_and_processes_count_together(tmp_path: Path) -> None:
    meter(tmp_path, requests=1000, burst=1000)
    code = (
        "import sys; from pathlib import Path; from origin_server import rate;"
        "m = rate.Meter(Path(sys.argv[1]), requests=1000, seconds=3600, burst=1000);"
        f"print(sum(m.wait('{A}') == 0 for _ in range(400)))"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "rate")]
    environment = {"PYTHONPATH": str(FILES / "usr/local/lib/origin")}
    found = meter(tmp_path, requests=1000, burst=1000)
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(allowed(found, A, 200))) for _ in range(4)]
    others = [subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment, text=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts += [int(other.communicate()[0]) for other in others]
    # Of 2000 tries: the burst, and one more each 3.6 s that this took.
    assert 1000 <= sum(counts) < 1030


def test_it_never_grows_and_forgets_the_nearest_to_being_free(tmp_path: Path) -> None:
    found = meter(tmp_path, requests=1, burst=1)
    for n in range(20_000):
        found.wait(f"198.18.{n >> 8}.{n & 255}")
    assert (tmp_path / "rate").stat().st_size == rate.SIZE
    assert sum(found.wait(f"198.18.{n >> 8}.{n & 255}") > 0 for n in range(20_000)) > 19_000


def asked(limited: Any, path: str = "/", **environ: str) -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    sent = io.BytesIO(b"x" * 100_000)
    given = {"PATH_INFO": path, "REMOTE_ADDR": A, "HTTP_X_REQUEST_ID": "id-1", "wsgi.input": sent, **environ}
    body = b"".join(limited(given, lambda status, headers: told.append((status, dict(headers)))))
    assert (sent.read() == b"") is told[0][0].startswith("429")  # read to its end, or the app's to read
    return (*told[0], body)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"app"]


def test_who_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    limited = rate.limited(app, meter(tmp_path, requests=1, seconds=60, burst=1), [])
    assert asked(limited)[0] == "200 OK"
    status, headers, body = asked(limited, "/any")
    assert status == "429 Too Many Requests"
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert headers["Cache-Control"] == "no-store"
    assert b"id-1" in body and int(headers["Content-Length"]) == len(body)
    assert asked(limited, REMOTE_ADDR=B)[0] == "200 OK"


def test_an_upgrade_s_connection_is_not_read(tmp_path: Path) -> None:
    """gevent gives it in place of a body, and nothing comes on it."""

    class Bare(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("this would wait for ever")

    limited = rate.limited(app, meter(tmp_path, burst=1), [])
    environ = {"PATH_INFO": "/", "REMOTE_ADDR": A, "HTTP_X_REQUEST_ID": "1", "HTTP_UPGRADE": "websocket"}
    told: list[str] = []
    for _ in range(2):
        b"".join(limited({**environ, "wsgi.input": Bare()}, lambda status, headers: told.append(status)))
    assert told == ["200 OK", "429 Too Many Requests"]


def test_only_the_paths_are_counted(tmp_path: Path) -> None:
    limited = rate.limited(app, meter(tmp_path, burst=1), ["/login", "/api/"])
    for path in ("/", "/loginx", "/logi", "/api", "/a/login"):
        assert [asked(limited, path)[0] for _ in range(2)] == ["200 OK"] * 2
    assert asked(limited, "/login")[0] == "200 OK"
    for path in ("/login", "/login/", "/login/a", "/api/", "/api/x"):
        assert asked(limited, path)[0].startswith("429")


def test_the_release_tools_health_checks_always_pass(tmp_path: Path) -> None:
    limited = rate.limited(app, meter(tmp_path, burst=1), [])
    assert [asked(limited, HTTP_X_REQUEST_ID="")[0] for _ in range(3)] == ["200 OK"] * 3
