"""Copier for the tests of update.sh: `copier_once.py COPIER ARGUMENT...` renders the same only once, then copies it.

The same is: the commits and refs of the template, the options, and the answers that they bring in a file.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

copier, *options, address, folder = sys.argv[1:]
refs = subprocess.run(
    ["git", "show-ref", "--head"], cwd=address if Path(address).exists() else "/", capture_output=True
)
if options[:1] != ["copy"] or refs.returncode or Path(folder).exists():
    os.execv(copier, [copier, *options, address, folder])
key = [address, *options]
for place, option in enumerate(options):
    if option == "--data-file":
        key[place + 2] = Path(options[place + 1]).read_text()
kept = Path(os.environ["COPIER"]).parent / hashlib.sha256(repr((key, refs.stdout)).encode()).hexdigest()[:16]
if not kept.exists():
    draft = Path(tempfile.mkdtemp(dir=kept.parent)) / "poser/app"
    done = subprocess.run([copier, *options, address, draft])
    if done.returncode:
        sys.exit(done.returncode)
    draft.rename(kept)
shutil.copytree(kept, folder)
