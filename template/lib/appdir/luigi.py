"""Luigi's scheduler, which listens on a socket that only the user who runs the servers can open."""

import contextlib
import os
import signal
import socket
import struct
from urllib.parse import quote

from appdir.core import APPDIR, Stop

SECONDS = 10  # in which it must answer


def connect():
    """Return a connection to the scheduler; OSError if it is down."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(SECONDS)
    folder = os.open(APPDIR / "luigi", os.O_PATH)
    try:
        client.connect(f"/proc/self/fd/{folder}/luigid.sock")  # its own path may be too long for a socket
    except OSError:
        client.close()
        raise
    finally:
        os.close(folder)
    return client


def address():
    """Return the scheduler's address with its whole path: Rattail's tasks leave the folder luigi while they run."""
    return f"http+unix://{quote(str(APPDIR / 'luigi/luigid.sock'), safe='')}"


def is_up():
    """Return whether the scheduler takes connections."""
    with contextlib.suppress(OSError), connect():
        return True
    return False


def main(_):
    """Stop the scheduler, for the button on the page of Luigi's tasks: what started it restarts it."""
    try:
        with connect() as client:
            process, *_ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except OSError as error:
        raise Stop(f"Luigi's scheduler is down ({error.strerror}); see ./check.sh") from None
    os.kill(process, signal.SIGTERM)
