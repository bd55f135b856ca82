"""A real systemd for tests: process 1 of namespaces of its own, with no unit but those of the test.

It sees the files of this machine, but its /run, /tmp and /etc are its own, and none of the units,
generators and tmpfiles of this machine are there: those would clean up, mount and start things.
"""

import contextlib
import os
import subprocess
import time
from pathlib import Path

BOOT = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/systemd /run/lock /run/targets /run/etc
for name in sysinit basic multi-user timers sockets paths slices local-fs network-online network shutdown umount; do
    cp /lib/systemd/system/$name.target /run/targets/
done
cp -a /etc/. /run/etc
rm -rf /run/etc/systemd /run/etc/cron.d
mkdir -p /run/etc/systemd/system /run/etc/cron.d
mount --bind /run/etc /etc
mount --bind /run/targets /lib/systemd/system
for folder in /lib/systemd/system-generators /usr/lib/tmpfiles.d /usr/lib/sysctl.d /usr/lib/sysusers.d /tmp /var/tmp; do
    mount -t tmpfs -o mode=1777 tmpfs $folder
done
umount -R /sys/fs/cgroup
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd 2>/dev/null || {
    umount /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
}
exec env -i container=test PATH="$PATH" /lib/systemd/systemd --system --unit=multi-user.target --log-target=null
"""
NAMESPACES = ["--mount", "--mount-proc", "--pid", "--ipc", "--uts", "--cgroup"]


@contextlib.contextmanager
def booted():
    """Run systemd while the `with` lasts; gives a function that runs a command beside it.

    The function returns the finished process, with its output as text; with check=False, also of a
    command that fails.
    """
    # setpriv: it ends with us, whatever happens
    command = ["setpriv", "--pdeathsig=KILL", "unshare", "--fork", "--kill-child", *NAMESPACES, "sh", "-c", BOOT]
    with own_cgroup() as enter:
        process = subprocess.Popen(command, preexec_fn=enter, stdin=subprocess.DEVNULL)
        try:
            yield beside(process)
        finally:
            process.kill()
            process.wait()


def beside(process):
    """Wait until systemd is up, and return the function that runs commands in its namespaces."""

    def run(*command, check=True):
        first = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        enter = ["nsenter", "--target", *first, "--mount", "--pid", "--"]
        done = subprocess.run([*enter, *map(str, command)], capture_output=True, text=True, cwd="/")
        assert not check or done.returncode == 0, f"{command} gave {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"systemd ended with exit code {process.returncode}")
        with contextlib.suppress(OSError, AssertionError):
            if run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"):
                return run
        time.sleep(0.1)
    raise RuntimeError("systemd does not come up")


@contextlib.contextmanager
def own_cgroup():
    """Give a function by which a process enters a cgroup of its own, which is removed with all in it at the end."""
    top = next(path for path in (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup")) if path.is_dir())
    group = top / f"test-{os.getpid()}"
    group.mkdir()
    try:
        yield lambda: (group / "cgroup.procs").write_text("0")
    finally:
        time.sleep(0.5)
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)
