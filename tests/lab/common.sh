# Sourced by the scripts beside it: where things are, and how a product is made at most once.
# shellcheck shell=bash

set -euo pipefail
lab=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
repo=$(realpath "$lab/../..")
# May be a symbolic link, so that several checkouts can share one.
mkdir -p "$repo/build"
build=$(realpath "$repo/build")

say() { echo "== $*" >&2; }
die() { echo "${0##*/}: $*" >&2; exit 1; }

# hash WORD|FILE...: a stamp for a product made from these words and files.
hash_of() {
  local w
  for w; do if [ -f "$w" ]; then cat "$w"; else echo "$w"; fi; done | sha256sum | cut -c1-16
}

# lock NAME: wait until no other process makes NAME, then keep them off until this one ends.
lock() {
  mkdir -p "$build/lock"
  exec {lock_fd}>"$build/lock/$1"
  flock -n "$lock_fd" || { say "waiting for another process that uses build/$1"; flock "$lock_fd"; }
}

# The mirror that this system uses, if it is a Debian.
mirror() {
  local m=
  if command -v apt-get >/dev/null; then
    # shellcheck disable=SC2016  # apt expands it
    m=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -1)
  fi
  echo "${m:-http://deb.debian.org/debian}"
}

# For scripts that run inside the root: apt with its state in the working directory, since the root's
# cannot be written.
apt_here() { # apt-get|apt-cache WORDS...
  mkdir -p apt/lists/partial apt/cache/archives/partial
  "$1" -qq -o Dir::State::lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt/cache" -o Dir::Log=/dev/null \
    -o APT::Sandbox::User=root "${@:2}"
}
