#!/usr/bin/env bash
# keys.sh DIR: sees to it that the keys are there with which the other programs and their users
# reach the service: DIR/prometheus may only read, DIR/admin may everything. They are made once.
set -euo pipefail
dir=$1

key() { # name, scope, permissions
  [[ -s $dir/$1 ]] && return
  local new
  new=$(mktemp "$dir/.new.XXXXXX")
  tidemark keys create "$1" --scope "$2" >"$new"
  chmod "$3" "$new"
  mv "$new" "$dir/$1"
}

# Prometheus runs as another user.
key prometheus read 0444
key admin admin 0400
