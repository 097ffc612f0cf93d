#!/usr/bin/env bash
# Builds release binaries of ltm-api, ltm-gateway and ltm in target/dist. The same source and compiler give
# bit-identical binaries on every machine: they contain no build time and no local path. deploy/reproduce.sh proves
# that.
set -euo pipefail
cd "$(dirname "$0")/.."

source_folder=$(pwd -P)
cargo_home=${CARGO_HOME:-$HOME/.cargo}

# A separator byte, so that a path may contain spaces. The Dockerfile maps to the same names.
unset RUSTFLAGS
export CARGO_ENCODED_RUSTFLAGS=--remap-path-prefix=$source_folder=/ltm-live$'\x1f'--remap-path-prefix=$cargo_home=/cargo
export CARGO_INCREMENTAL=0
# The same for C code that a dependency compiles. Quoted, so that a path may contain spaces.
export CC_SHELL_ESCAPED_FLAGS=1
export CFLAGS="${CFLAGS:-} -ffile-prefix-map='$source_folder'=/ltm-live -ffile-prefix-map='$cargo_home'=/cargo"

cargo build --profile dist --locked --package ltm-api --package ltm-gateway --package ltm-cli --bins "$@"
