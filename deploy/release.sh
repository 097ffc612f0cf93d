#!/usr/bin/env bash
# Builds ltm-api, ltm-gateway and ltm for release, into target/release. The same source and compiler give the
# same binaries, bit by bit, wherever they are built: no time is in them, and no path of this machine.
# deploy/reproduce.sh proves that.
set -euo pipefail
cd "$(dirname "$0")/.."

source_folder=$(pwd -P)
cargo_home=${CARGO_HOME:-$HOME/.cargo}

# Separated so that a path may have spaces. The names are those that the Dockerfile gives them, too.
unset RUSTFLAGS
export CARGO_ENCODED_RUSTFLAGS=--remap-path-prefix=$source_folder=/ltm-live$'\x1f'--remap-path-prefix=$cargo_home=/cargo
export CARGO_INCREMENTAL=0
# C that a dependency compiles: the same there. Quoted, since a path may have spaces.
export CC_SHELL_ESCAPED_FLAGS=1
export CFLAGS="${CFLAGS:-} -ffile-prefix-map='$source_folder'=/ltm-live -ffile-prefix-map='$cargo_home'=/cargo"

cargo build --release --locked --package ltm-api --package ltm-gateway --package ltm-cli --bins "$@"
