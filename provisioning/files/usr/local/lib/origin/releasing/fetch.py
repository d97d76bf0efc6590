"""fetch.py URL FILE BYTES: an https archive into a file of at most so many bytes. Run as `build`, in a bounded unit.

Trusts what the machine trusts. Follows redirects to https only. On failure: one line on stderr.
"""

import sys
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO

CHUNK, SILENCE = 1 << 16, 30  # bytes; seconds


class OnlyHttps(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            sys.exit(f"it redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, path: Path, most: int) -> None:
    opener = urllib.request.build_opener(OnlyHttps)
    request = urllib.request.Request(url, headers={"User-Agent": "release"})
    with opener.open(request, timeout=SILENCE) as answer, path.open("xb") as file:
        size = 0
        while chunk := answer.read(CHUNK):
            size += len(chunk)
            if size > most:
                sys.exit(f"it has more than {most // 1_000_000} MB")
            file.write(chunk)
        expected = answer.headers["Content-Length"]
        if expected and size != int(expected):
            sys.exit(f"it ended after {size} of {expected} bytes")


if __name__ == "__main__":
    try:
        fetch(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    except urllib.error.HTTPError as error:
        sys.exit(f"it answered {error.code} {error.reason}")
    except (urllib.error.URLError, OSError, HTTPException, ValueError) as error:
        sys.exit(f"{getattr(error, 'reason', None) or error}")
