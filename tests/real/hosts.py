"""Hosts of a test's own: each with its address, processes and /srv, and a real sshd.

A host is a tree of processes in namespaces of its own, so nothing of it shows on the machine,
and all of it ends with its first process.  The controller, 192.0.2.1, reaches the hosts over a
bridge, and serves git repositories to them.
"""

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from real.apps import running

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
CONTROLLER = "192.0.2.1"
# ends with us, even where we are killed
ALONE = ["setpriv", "--pdeathsig=KILL", "unshare", "--net", "--mount", "--pid", "--kill-child=KILL", "--"]
BRIDGE = f"""
ip link set lo up
ip link add br0 type bridge
ip addr add {CONTROLLER}/24 dev br0
ip link set br0 up
exec git daemon --verbose --export-all --reuseaddr --base-path="$1" "$1"
"""
HOST = """
folder=$1 address=$2 port=$3 controller=$4 sshd=$5
nsenter --net=/proc/$controller/ns/net ip link add "$port" type veth peer name eth0 netns 1
nsenter --net=/proc/$controller/ns/net ip link set "$port" master br0 up
mount -t proc none /proc
mount -t tmpfs none /run
mkdir /run/sshd
mount --bind "$folder/srv" /srv
ip link set lo up
ip addr add "$address/24" dev eth0
ip link set eth0 up
exec "$sshd" -D -e -f "$folder/sshd_config"
"""


def lacks_rights():
    """Return whether this user cannot make hosts: only root can."""
    return subprocess.run([*ALONE, "mount", "-t", "tmpfs", "none", "/run"], capture_output=True).returncode != 0


def call(command, check=True, **options):
    """Run a command, and return the process with all its output as text in `stdout`.

    With `check`, an exit code that is not 0 is an AssertionError that shows the output.
    """
    done = subprocess.run(
        list(map(str, command)), text=True, errors="replace", stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )  # fmt: skip
    assert not check or done.returncode == 0, f"{command} gave {done.returncode}:\n{done.stdout}"
    return done


@dataclass
class Network:
    """The network of the hosts: `folder` has the controller's keys, and in `git` what it serves; `pid` holds it."""

    folder: Path
    pid: int

    def inside(self, *command):
        """Return a command as the one that runs it at the controller."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *map(str, command)]

    @contextlib.contextmanager
    def host(self, address, **environment):
        """Give a Host while the `with` lasts; its logins have our PATH, and the environment variables."""
        environment["PATH"] = os.environ["PATH"]
        folder = self.folder / address
        (folder / "srv/envs").mkdir(parents=True)
        call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"])
        with open(self.folder / "known_hosts", "a") as known:
            known.write(f"{address} {(folder / 'key.pub').read_text()}")
        lines = [
            f"HostKey {folder}/key",
            f"AuthorizedKeysFile {self.folder}/key.pub",
            "StrictModes no",  # the keys are in a temporary folder
            "UsePAM no",
            "PasswordAuthentication no",
            "PidFile none",
            " ".join(["SetEnv", *(f"{name}={value}" for name, value in environment.items())]),
        ]
        (folder / "sshd_config").write_text("\n".join(lines) + "\n")
        port = f"host{address.rpartition('.')[2]}"
        command = [*ALONE, "sh", "-euc", HOST, "sh", folder, address, port, self.pid, SSHD]
        log = folder / "sshd.log"
        with running(command, log, lambda: "Server listening" in log.read_text()) as process:
            yield Host(address, folder / "srv", port, process.pid, self)


@dataclass
class Host:
    """A host: `srv` is its /srv as the test sees it, `port` its cable at the bridge, `pid` its first process."""

    address: str
    srv: Path
    port: str
    pid: int
    network: Network

    def run(self, *command, **options):
        """Run a command on the host, as root; see `call`."""
        spaces = f"/proc/{self.pid}/ns"
        inside = [f"--net={spaces}/net", f"--mount={spaces}/mnt", f"--pid={spaces}/pid_for_children"]
        return call(["nsenter", *inside, "--", *command], **options)

    def cable(self, state):
        """Unplug the cable (down), or plug it in again (up)."""
        call(self.network.inside("ip", "link", "set", self.port, state))


@contextlib.contextmanager
def network(folder):
    """Give a Network while the `with` lasts; everything in it ends with it."""
    (folder / "git").mkdir(parents=True)
    call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"])
    options = {"IdentityFile": folder / "key", "UserKnownHostsFile": folder / "known_hosts", "User": "root"}
    (folder / "ssh_config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    command, log = [*ALONE, "sh", "-euc", BRIDGE, "sh", folder / "git"], folder / "git.log"
    with running(command, log, lambda: "Ready" in log.read_text()) as process:
        yield Network(folder, process.pid)
