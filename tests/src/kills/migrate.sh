#!/bin/sh
# migrate.sh ROOT DATABASE VERSION: takes the schema to VERSION, whole or not at all, and keeps book of it.
root=$1
. "$root/effect.sh"
strike before
python3 "$root/migrate.py" "$@" || exit 1
strike after
