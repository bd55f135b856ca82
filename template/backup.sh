#!/bin/sh
# Template. Takes a backup while the app runs: its database, its packages' versions, and this folder.
set -eu

usage() {
    cat <<EOF
Usage: backup.sh [--init] [--with FOLDER]... [--quiet]

  --init         make the repository first, if there is none
  --with FOLDER  take in log, sessions, uploads or work, which are left out
  --quiet        show only what is wrong, for cron

The environment variable RESTIC_REPOSITORY, or else restic.env, may name another
repository than the answer; a path in it begins at this folder. The last run's
result is in log/last-backup. restore.sh brings a backup back.
EOF
}

refuse() {
    echo "backup.sh: $1, see backup.sh --help" >&2
    exit 2
}

wanted=
for arg; do
    if [ -n "$wanted" ]; then
        case $arg in
            log | sessions | uploads | work) wanted= ;;
            *) refuse "--with needs log, sessions, uploads or work, not '$arg'" ;;
        esac
        continue
    fi
    case $arg in
        --with) wanted=$arg ;;
        --init | --quiet) ;;
        --help) usage; exit ;;
        *) refuse "unknown option '$arg'" ;;
    esac
done
[ -z "$wanted" ] || refuse "--with needs a folder"
cd -- "$(dirname -- "$0")"
if ! [ -x ../bin/python ]; then
    echo "backup.sh: no ../bin/python; the app dir must be the folder app/ of a virtualenv" >&2
    exit 1
fi
umask 027
exec ../bin/python -W ignore lib/backup.py "$@"
