#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.11"
# dependencies = ["configupdater>=3.2,<5", "copier>=9.19,<10"]
# ///
"""Bring an existing app dir under this template: run it with `uv run adopt.py APPDIR`."""

import sys

try:
    from adopt.main import main

    main()
except ModuleNotFoundError as error:
    if error.name not in ("configupdater", "copier"):
        raise
    sys.exit("adopt.py: run it with uv, which installs what it needs: uv run adopt.py, or pipx run uv run adopt.py")
