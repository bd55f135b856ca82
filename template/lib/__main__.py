"""Template. The program behind the scripts of the app dir; lib/run starts it."""

import gc
import os
import sys

from appdir.cli import main

gc.disable()  # a command is over before that pays
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    if isinstance(end.code, str):
        raise
    code = end.code
sys.stderr.flush()
try:
    sys.stdout.flush()
finally:
    os._exit(code or 0)  # to take upstream's modules apart would take half a second
