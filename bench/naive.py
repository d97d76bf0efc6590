"""The script that people write first: everything at first boot, nothing pinned, defaults throughout."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

SCRIPT = """\
#!/bin/bash
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get -y upgrade
apt-get install -y python3-venv python3-pip caddy

mkdir -p /srv/app
base64 -d <<'ARCHIVE' | tar --extract --gzip --directory=/srv/app
{archive}ARCHIVE
python3 -m venv /srv/venv
/srv/venv/bin/pip install -r /srv/app/requirements.txt
/srv/venv/bin/pip install waitress

cat > /etc/systemd/system/app.service <<'UNIT'
[Service]
WorkingDirectory=/srv/app
Environment=SECRET_KEY=not-a-secret-in-a-benchmark-0123456789
ExecStart=/srv/venv/bin/waitress-serve --listen=127.0.0.1:8000 {entrypoint}
Restart=always
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --now app

cat > /etc/caddy/Caddyfile <<'CADDYFILE'
{hostname} {{
	tls internal
	reverse_proxy 127.0.0.1:8000
}}
CADDYFILE
systemctl restart caddy
"""


def user_data(source: Path, *, entrypoint: str, hostname: str) -> str:
    """A user-data script that serves the app in `source`, which it carries with it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(source, arcname=".", filter=lambda member: None if "__pycache__" in member.name else member)
    archive = base64.encodebytes(packed.getvalue()).decode()
    return SCRIPT.format(archive=archive, entrypoint=entrypoint, hostname=hostname)
