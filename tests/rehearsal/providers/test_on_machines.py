"""Handlers together on the real stand-in cloud: guarded machines, and SSH as pulumi-command does it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pulumi import FileAsset, StringAsset

from rehearsal import providers
from rehearsal.cloud import machine
from rehearsal.cloud.world import World
from rehearsal.providers.base import ApiError, Props, Resource
from tests.rehearsal.cloud.standing import USER_DATA, cloud_init_done, knock, output, until
from tests.rehearsal.providers.driving import Made, make

pytestmark = pytest.mark.machines
OPERATOR = ["198.18.67.10", "2001:db8:67::10"]


@dataclass(frozen=True)
class Origin:
    """A droplet that is ready, and how to log in to it."""

    machine: str
    resources: dict[str, Resource]
    connection: Props

    def command(self, **inputs: object) -> Made:
        return make(self.resources["Command"], **{"connection": self.connection, **inputs})

    def copy(self, source: object, path: str) -> Made:
        return make(self.resources["CopyToRemote"], connection=self.connection, source=source, remotePath=path)


@pytest.fixture(scope="module")
def resources(world: World) -> dict[str, Resource]:
    return {
        token.rpartition(":")[2]: handler
        for token, handler in providers.resources(world).items()
        if token != "command:local:Command"
    }


@pytest.fixture(scope="module")
def key(resources: dict[str, Resource]) -> Props:
    return make(resources["PrivateKey"], algorithm="ED25519").outputs


@pytest.fixture(scope="module")
def origin(world: World, resources: dict[str, Resource], key: Props) -> Iterator[Origin]:
    made = [make(resources["SshKey"], "operator", publicKey=key["publicKeyOpenssh"])]
    made.append(make(resources["Tag"], name="origin"))
    ssh = {"protocol": "tcp", "portRange": "22", "sourceAddresses": OPERATOR}
    made.append(make(resources["Firewall"], "origin", inboundRules=[ssh], tags=["origin"]))
    droplet = make(
        resources["Droplet"],
        "origin",
        image="debian-13-x64",
        size="s-1vcpu-1gb",
        region="fra1",
        ipv6=True,
        sshKeys=[made[0].id],
        tags=["origin"],
        userData=USER_DATA,
    )
    made.append(droplet)
    host = f"droplet-{droplet.id}"
    connection = {
        "host": droplet.outputs["ipv4Address"],
        "user": "deploy",
        "privateKey": key["privateKeyOpenssh"],
        "dialErrorLimit": 60,
        "perDialTimeout": 5,
    }
    try:
        # The droplet is active well before this: the first command has to wait for sshd.
        make(resources["Command"], connection=connection, create="cloud-init status --wait || [ $? = 2 ]")
        assert cloud_init_done(world, host)
        yield Origin(host, resources, connection)
    finally:
        for resource in reversed(made):
            resource.delete()


def test_only_the_operator_reaches_a_guarded_droplet(world: World, origin: Origin) -> None:
    address = origin.connection["host"]
    assert knock(world, "operator", address, 22) == "open"
    assert knock(world, "attacker", address, 22) == "filtered"
    assert knock(world, "operator", address, 443) == "filtered"


def test_a_command_is_given_its_input_and_gives_its_output(origin: Origin) -> None:
    made = origin.command(create="cat; echo; echo warning >&2", stdin="line\n'quoted' $HOME")
    assert made.outputs["stdout"] == "line\n'quoted' $HOME"
    assert made.outputs["stderr"] == "warning"
    assert origin.command(create="printf 'a\\n\\n'").outputs["stdout"] == "a\n"
    assert (
        origin.command(create="id -un\n# a script of\n# several lines\npwd").outputs["stdout"] == "deploy\n/home/deploy"
    )


def test_a_command_that_fails_says_how(origin: Origin) -> None:
    with pytest.raises(ApiError) as caught:
        origin.command(create="echo out; echo 'what is wrong' >&2; exit 3")
    assert str(caught.value) == (
        "Process exited with status 3: running \"echo out; echo 'what is wrong' >&2; exit 3\":\nout\nwhat is wrong\n"
    )


def test_a_command_that_fails_is_run_once(world: World, origin: Origin) -> None:
    # ssh's own failures end with 255 too.
    with pytest.raises(ApiError, match="Process exited with status 255"):
        origin.command(create="echo x >> once; exit 255")
    assert output(world, origin.machine, "cat", "/home/deploy/once") == "x\n"


def test_update_and_delete_run_their_own(world: World, origin: Origin) -> None:
    made = origin.command(create="echo created >> life", update="echo updated >> life", delete="echo deleted >> life")
    made.update(stdin="changed")
    made.delete()
    assert output(world, origin.machine, "cat", "/home/deploy/life").split() == ["created", "updated", "deleted"]
    made = origin.command(create="echo again >> life; tail -n1 life")
    assert made.update(create="echo more >> life; tail -n1 life")["stdout"] == "more"


def test_the_environment_reaches_as_far_as_sshd_lets_it(origin: Origin) -> None:
    assert origin.command(create="echo $LC_REHEARSAL", environment={"LC_REHEARSAL": "x y"}).outputs["stdout"] == "x y"


def test_the_host_key_is_held_when_it_is_given(origin: Origin, key: Props) -> None:
    own = origin.command(create="cat /etc/ssh/ssh_host_ed25519_key.pub").outputs["stdout"]
    pinned = {**origin.connection, "hostKey": own, "dialErrorLimit": 0}
    assert origin.command(create="echo yes", connection=pinned).outputs["stdout"] == "yes"
    with pytest.raises(ApiError, match=r"after 0 failed attempts: .*[Hh]ost key"):
        origin.command(create="touch never", connection={**pinned, "hostKey": key["publicKeyOpenssh"]})


def test_a_key_that_nobody_knows_does_not_get_in(origin: Origin) -> None:
    other = make(origin.resources["PrivateKey"], algorithm="ED25519").outputs["privateKeyOpenssh"]
    with pytest.raises(ApiError, match=r"after 1 failed attempts: .*Permission denied"):
        origin.command(create="true", connection={**origin.connection, "privateKey": other, "dialErrorLimit": 1})


def test_a_host_that_does_not_answer_is_given_up(origin: Origin) -> None:
    began = time.monotonic()
    silent = {**origin.connection, "port": 81, "dialErrorLimit": 1, "perDialTimeout": 1}
    with pytest.raises(ApiError, match=r"after 1 failed attempts: .*timed out"):
        origin.command(create="true", connection=silent)
    assert time.monotonic() - began < 10


def test_no_secret_is_on_a_command_line_in_an_environment_or_on_disk(
    world: World, origin: Origin, tmp_path: Path
) -> None:
    secrets = [b"canary-in-stdin", origin.connection["privateKey"].splitlines()[2].encode()]
    marker = tmp_path / "marker"
    marker.touch()
    running = threading.Thread(
        target=lambda: origin.command(create="cat > /dev/null; touch started; sleep 3", stdin="canary-in-stdin")
    )
    running.start()
    until(lambda: "started" in output(world, origin.machine, "ls", "/home/deploy"), seconds=20)
    seen = b""
    for file in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
        try:
            seen += file.read_bytes()
        except OSError:
            continue
    written = subprocess.run(
        [
            *("find", "/dev/shm", "/tmp", "/run", "-xdev", "-type", "f", "-newer", marker),
            *("-exec", "grep", "-lFs", secrets[1], "{}", "+"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    running.join()
    assert b"touch started; sleep 3" in seen, "the command itself has to be seen, or this looks at nothing"
    assert not [secret for secret in secrets if secret in seen]
    assert written.stdout == ""


def test_a_file_is_copied_as_sftp_does_it(world: World, origin: Origin, tmp_path: Path) -> None:
    source = tmp_path / "a b*[1]?.bin"
    source.write_bytes(bytes(range(256)) * 4096)
    source.chmod(0o600)
    made = origin.copy(FileAsset(str(source)), "/home/deploy/new/folder/copy.bin")
    host, path = origin.machine, "/home/deploy/new/folder/copy.bin"
    assert output(world, host, "stat", "-c", "%a %U %s", path) == f"664 deploy {256 * 4096}\n"
    assert output(world, host, "sha256sum", path).split()[0] == subprocess.run(
        ["sha256sum", source], text=True, capture_output=True, check=True
    ).stdout.split()[0].removeprefix("\\")
    (tmp_path / "second").mkdir()
    source = tmp_path / "second" / source.name
    source.write_text("second")
    made.update(source=FileAsset(str(source)))
    assert output(world, host, "cat", path) == "second"
    # Into a folder, under its own name; a text has none.
    origin.copy(FileAsset(str(source)), "/home/deploy/new")
    assert output(world, host, "cat", "/home/deploy/new/a b*[1]?.bin") == "second"
    origin.copy(StringAsset("text\n"), "/home/deploy/text")
    assert output(world, host, "cat", "/home/deploy/text") == "text\n"
    with pytest.raises(ApiError, match="is a directory"):
        origin.copy(StringAsset("text\n"), "/home/deploy/new")
    with pytest.raises(ApiError, match=r"failed to copy .*Permission denied"):
        origin.copy(FileAsset(str(source)), "/etc/not-allowed")
    made.delete()
    assert output(world, host, "cat", path) == "second"


_CREATE = """
import sys
from pathlib import Path
from rehearsal import providers
from rehearsal.cloud import machine
from rehearsal.cloud.world import World
droplet = providers.resources(World(Path(sys.argv[1])))["digitalocean:index/droplet:Droplet"]
news, _ = droplet.check({"image": "debian-13-x64", "size": "s-1vcpu-1gb", "name": "killed"})
print("now", flush=True)
droplet.create("killed", news)
"""


@pytest.mark.parametrize("seconds", [0, 0.05, 0.2, 0.5, 5])
def test_a_create_that_is_killed_is_found_whole_or_leaves_nothing(
    world: World, resources: dict[str, Resource], seconds: float
) -> None:
    killed = subprocess.Popen([sys.executable, "-c", _CREATE, str(world.root)], stdout=subprocess.PIPE)
    assert killed.stdout is not None
    killed.stdout.readline()
    time.sleep(seconds)
    killed.kill()
    killed.communicate()
    machine.resume(world)
    handler = resources["Droplet"]
    news, _ = handler.check({"image": "debian-13-x64", "size": "s-1vcpu-1gb", "name": "killed"})
    found = handler.adopt("killed", news)
    if found is not None:
        assert found[1]["status"] == "active"
        handler.delete(*found)
    assert not [id for id, kept in world.store.items("machines").items() if kept["hostname"] == "killed"]
    assert not [id for id, kept in world.store.items("digitalocean/droplets").items() if "killed" in str(kept)]


def test_an_instance_lets_nothing_out_until_a_rule_does(
    world: World, resources: dict[str, Resource], key: Props
) -> None:
    functions = {token.rpartition(":")[2]: handler for token, handler in providers.functions(world).items()}
    made = [make(resources["KeyPair"], "operator", publicKey=key["publicKeyOpenssh"])]
    made.append(group := make(resources["SecurityGroup"], "origin"))
    ingress = {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": [f"{OPERATOR[0]}/32"]}
    group.update(ingress=[ingress])
    try:
        instance = make(
            resources["Instance"],
            ami=functions["getParameter"].invoke({"name": "/aws/service/debian/release/13/latest/amd64"})["value"],
            instanceType="t3.micro",
            keyName=made[0].id,
            vpcSecurityGroupIds=[group.id],
            ipv6AddressCount=1,
            userData=USER_DATA,
        )
        made.append(instance)
        connection = {
            "host": instance.outputs["publicIp"],
            "user": "deploy",
            "privateKey": key["privateKeyOpenssh"],
            "dialErrorLimit": 60,
            "perDialTimeout": 5,
        }
        mirror = "timeout 2 bash -c '</dev/tcp/198.18.0.80/80' && echo open || echo closed"
        first = make(resources["Command"], connection=connection, create=mirror)
        assert first.outputs["stdout"] == "closed"
        group.update(egress=[{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}])
        assert first.update(stdin="again")["stdout"] == "open"
        assert knock(world, "attacker", instance.outputs["publicIp"], 22) == "filtered"
    finally:
        for resource in sorted(made, key=lambda made: made.handler.token, reverse=False):
            if "instance" in resource.handler.token:
                resource.delete()
        for resource in reversed(made):
            resource.delete()
