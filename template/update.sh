#!/bin/sh
# Template. Brings the app dir to a newer template: all of it, checked, or nothing.
set -eu

usage() {
    cat <<EOF
Usage: update.sh [--data NAME=VALUE]... [--vcs-ref REF] [--preview] [--quiet]
       update.sh --continue | --abort | --undo [--preview] [--quiet]

  --data NAME=VALUE  change an answer, such as luigi=false
  --vcs-ref REF      take this version of the template, not the newest
  --preview          show versions and changes, and touch nothing
  --continue         go on after you mended what the update stopped at
  --abort            drop an update that stopped, or was cut off
  --undo             take the last update back
  --quiet            show only what is new or wrong

The environment variable COPIER names the copier command, if it is not on PATH.
EOF
}

refuse() {
    echo "update.sh: $1, see update.sh --help" >&2
    exit 2
}

action=
wanted=
for arg; do
    case $wanted in
        --data)
            name=${arg%%=*}
            case $arg in *=*) ;; *) refuse "--data needs NAME=VALUE, not '$arg'" ;; esac
            case $name in '' | *[!a-z0-9_]*) refuse "'$name' is not the name of a question" ;; esac
            wanted= && continue ;;
        --vcs-ref) [ -n "$arg" ] || refuse "--vcs-ref needs a version"; wanted= && continue ;;
    esac
    case $arg in
        --data | --vcs-ref) wanted=$arg ;;
        --continue | --abort | --undo) [ -z "$action" ] || refuse "$action and $arg exclude each other"; action=$arg ;;
        --preview | --quiet) ;;
        --help) usage; exit ;;
        *) refuse "unknown option '$arg'" ;;
    esac
done
[ -z "$wanted" ] || refuse "$wanted needs a value"
cd -- "$(dirname -- "$0")"
if ! [ -x ../bin/python ]; then
    echo "update.sh: no ../bin/python; the app dir must be the folder app/ of a virtualenv" >&2
    exit 1
fi
exec ../bin/python lib/update.py "$@"
