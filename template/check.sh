#!/bin/sh
# Template. Tells what is wrong with the app and its folder, one line for each thing; changes nothing.
set -eu

usage() {
    cat <<EOF
Usage: check.sh [--quiet | --json]

  --quiet  show only what is wrong, for cron
  --json   show all as JSON, for monitoring

The exit code is 0 if all is well, 1 if something failed. The environment variable
COPIER names the copier command, which looks for updates, if it is not on PATH.
EOF
}

for arg; do
    case $arg in
        --quiet | --json) ;;
        --help) usage; exit ;;
        *) echo "check.sh: unknown option '$arg', see check.sh --help" >&2; exit 2 ;;
    esac
done
cd -- "$(dirname -- "$0")"
if ! [ -x ../bin/python ]; then
    echo "check.sh: no ../bin/python; the app dir must be the folder app/ of a virtualenv" >&2
    exit 1
fi
exec ../bin/python -W ignore lib/check.py "$@"
