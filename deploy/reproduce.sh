#!/usr/bin/env bash
# Proves that the release build is reproducible: builds the current commit from scratch in two folders with different
# names, and compares the binaries. Takes as long as two release builds.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=(ltm-api ltm-gateway ltm)
LTM_COMMIT=$(git rev-parse --short=12 HEAD)
export LTM_COMMIT
folders=$(mktemp -d)
trap 'rm -rf "$folders"' EXIT

# The paths also differ in length: a path that remains in a binary then shifts everything after it.
for folder in "$folders/one" "$folders/another/place/two"; do
  mkdir -p "$folder"
  git archive HEAD | tar -x -C "$folder"
  echo "reproduce: building in $folder" >&2
  # Without compiler caches: a cache could serve the second build from the first.
  env -u RUSTC_WRAPPER -u CARGO_BUILD_RUSTC_WRAPPER CARGO_TARGET_DIR="$folder/target" \
    bash "$folder/deploy/release.sh" --quiet
done

differ=0
for program in "${programs[@]}"; do
  one=$folders/one/target/dist/$program
  two="$folders/another/place/two/target/dist/$program"
  if cmp "$one" "$two"; then
    (cd "$(dirname "$one")" && sha256sum "$program")
  else
    differ=1
  fi
  if grep -aqF -e "$folders" -e "${CARGO_HOME:-$HOME/.cargo}/registry" "$one"; then
    echo "reproduce: $program contains a local path" >&2
    differ=1
  fi
done
exit "$differ"
