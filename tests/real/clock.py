"""A clock that is ahead, so that a test of real ages does not wait for them; files keep their real times."""

from pathlib import Path

from support import require

HOUR = 3600  # seconds
DAY = 24 * HOUR


def ahead(seconds):
    """Return the environment variables with which a program, and what it runs, sees a clock that is ahead."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    require(library, "libfaketime", "faketime")
    # timeouts follow the monotonic clock, which stays as it is
    quiet = {"NO_FAKE_STAT": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": str(library), "FAKETIME": f"+{int(seconds)}", **quiet}
