#!/bin/sh
# Runs a command in a fresh machine, which is gone afterwards: runner.sh NAME COMMAND...
set -eu
name=$1
shift
smolvm machine create "$name" >&2

clean_up() {
    code=$?
    smolvm machine stop --name "$name" >&2 || code=1
    smolvm machine delete -f "$name" >&2 || code=1
    exit $code
}
trap clean_up EXIT

smolvm machine start --name "$name" >&2
smolvm machine exec --name "$name" -- "$@"
