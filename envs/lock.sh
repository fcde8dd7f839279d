#!/bin/sh
# Remakes every lock: envs/NAME.in -> envs/NAME.txt, for Python 3.11 and 3.12 alike.
set -eu
cd "$(dirname "$0")/.."
lock() {
    name=$1
    shift
    uv pip compile --quiet --python-version 3.11 --universal "$@" "envs/$name.in" --output-file "envs/$name.txt"
}
lock driver
lock analysis
lock dev
lock jax
lock torch --override envs/torch.overrides
# The same versions on a GPU as on a CPU, so that the arms differ in hardware alone.
lock torch-cuda --constraint envs/torch.txt
