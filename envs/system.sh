#!/bin/sh
# Installs the system's packages that the workflow calls, iverilog and bubblewrap, where they are missing and that is
# permitted (root, or sudo without a password); else says in one line what to install.
set -eu
packages=""
command -v iverilog >/dev/null 2>&1 || packages="iverilog"
command -v bwrap >/dev/null 2>&1 || packages="${packages:+$packages }bubblewrap"
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || packages="${packages:+$packages }python3-venv"
[ -z "$packages" ] && exit 0
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "set-up: please install: $packages (apt-get install $packages)" >&2
    exit 2
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "set-up: please install: $packages (no apt-get here)" >&2
    exit 2
fi
echo "set-up: installing $packages" >&2
# shellcheck disable=SC2086
{ $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq $packages; } >/dev/null || {
    echo "set-up: apt-get could not install: $packages" >&2
    exit 2
}
