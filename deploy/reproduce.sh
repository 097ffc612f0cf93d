#!/usr/bin/env bash
# Proves that the release build can be reproduced: builds the commit that is checked out in two folders of
# different names, each from nothing, and compares the binaries. Takes as long as two release builds.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=(ltm-api ltm-gateway ltm)
LTM_COMMIT=$(git rev-parse --short=12 HEAD)
export LTM_COMMIT
folders=$(mktemp -d)
trap 'rm -rf "$folders"' EXIT

# Of different lengths, too: a path that is left in a binary moves what comes after it.
for folder in "$folders/one" "$folders/another/place/two"; do
  mkdir -p "$folder"
  git archive HEAD | tar -x -C "$folder"
  echo "reproduce: building in $folder" >&2
  # A cache of the caller's would answer for the second build.
  env -u RUSTC_WRAPPER -u CARGO_BUILD_RUSTC_WRAPPER CARGO_TARGET_DIR="$folder/target" \
    bash "$folder/deploy/release.sh" --quiet
done

differ=0
for program in "${programs[@]}"; do
  one=$folders/one/target/release/$program
  two="$folders/another/place/two/target/release/$program"
  if cmp "$one" "$two"; then
    (cd "$(dirname "$one")" && sha256sum "$program")
  else
    differ=1
  fi
  if grep -aqF -e "$folders" -e "${CARGO_HOME:-$HOME/.cargo}/registry" "$one"; then
    echo "reproduce: $program holds a path of this machine" >&2
    differ=1
  fi
done
exit "$differ"
