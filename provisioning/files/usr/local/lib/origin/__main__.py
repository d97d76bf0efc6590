"""`release`, see /usr/local/sbin/release: what a signal and an error mean to whoever ran it."""

import json
import os
import signal
import sys

from releasing.cli import main
from releasing.host import Refused
from releasing.store import live

os.umask(0o022)
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a lost SSH connection does not stop a release half way
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    sys.exit(main())
except (Refused, OSError, json.JSONDecodeError) as error:
    sys.exit(f"release: {error}")
except KeyboardInterrupt:
    sys.exit(f"release: stopped; {live() or 'nothing'} is live")
