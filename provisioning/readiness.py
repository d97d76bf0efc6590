"""The script that waits, over SSH, until a new host has finished its first boot."""

from __future__ import annotations

from string import Template

# cloud-init's exit codes: 0 done, 1 error, 2 done with recoverable errors ("degraded").
# https://docs.cloud-init.io/en/latest/reference/cli.html#status
_SCRIPT = Template("""\
set -u
sentinel=/var/lib/origin/bootstrapped
waited=0
again=no
if [ -e /run/cloud-init/result.json ] && ! [ -s "$$sentinel" ]; then
  # It had failed before: perhaps in a package mirror's bad minute. The bootstrap may be run as often as need be.
  again=yes
  sudo timeout "$bound" sh -c '/var/lib/cloud/instance/scripts/runcmd >>/var/log/cloud-init-output.log 2>&1'
fi
until [ -s "$$sentinel" ]; do
  state=running  # asking costs half a second of the processor that the first boot needs: now and then, and at its end
  if [ -e /run/cloud-init/result.json ] || [ "$$((waited % 20))" = 19 ]; then
    state=$$(sudo cloud-init status 2>/dev/null | sed -n 's/^status: //p')
  fi
  case "$$state" in
    done | error | degraded*)
      # The sentinel is the last thing that a good first boot writes, just before cloud-init is done.
      [ -s "$$sentinel" ] && break
      echo "cloud-init ended ($$state) and the bootstrap did not finish; the end of its log:" >&2
      sudo tail -n 40 /var/log/cloud-init-output.log >&2
      echo "do: mend what the log names, and run up again: it tries again on this host" >&2
      exit 1
      ;;
  esac
  if [ "$$waited" -ge "$bound" ]; then
    echo "the first boot did not finish within $bound seconds; the end of its log:" >&2
    sudo tail -n 40 /var/log/cloud-init-output.log >&2
    exit 1
  fi
  sleep 1
  waited=$$((waited + 1))
done
found=$$(cat "$$sentinel")
if [ "$expected" != any ] && [ "$$found" != "$expected" ]; then
  echo "the host was set up by bootstrap $$found, this program's is $expected" >&2
  exit 1
fi
[ "$$again" = yes ] && exec cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub  # its status tells of the first try
code=0
sudo timeout 60 cloud-init status --wait >/dev/null 2>&1 || code=$$?
case "$$code" in
  0) ;;
  2) echo "cloud-init finished with warnings: sudo cloud-init status --long" >&2 ;;
  *) echo "cloud-init failed although the bootstrap finished: sudo cloud-init status --long" >&2; exit 1 ;;
esac
cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub
""")


def script(*, expected: str | None, bound: int = 900) -> str:
    """A POSIX script for `deploy` that ends when the host is ready and prints its SSH host key.

    `expected` is the bootstrap's hash that the sentinel must hold, None when any will do; `bound` is in seconds.
    It fails with the end of cloud-init's log, which holds no secrets because user data holds none. Run again on a host
    whose bootstrap failed, it tries that once more.
    """
    return _SCRIPT.substitute(expected=expected or "any", bound=bound)
