"""Template. The program behind the scripts of the app dir; lib/run starts it."""

import sys

from appdir.cli import main

sys.exit(main(sys.argv[1:]))
