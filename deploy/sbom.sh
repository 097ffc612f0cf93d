#!/usr/bin/env bash
# Writes the software bill of materials of each program to target/sbom/<program>.cdx.json (CycloneDX), and checks it.
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-unknown-linux-gnu
tools=target/sbom/tools
mkdir -p target/sbom
# `installed` is a copy of the installed requirements. If they have changed, the tools are installed again.
if ! cmp -s deploy/sbom/requirements.txt "$tools/installed"; then
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement deploy/sbom/requirements.txt
  cp deploy/sbom/requirements.txt "$tools/installed"
fi

# The document carries the time of the commit, so the same commit gives the same document.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --target "$target"

here=$(pwd -P)
for package in ltm-api ltm-gateway ltm-cli; do
  program=${package/ltm-cli/ltm}
  bom=target/sbom/$program.cdx.json
  sed "s#file://$here/#file:///ltm-live/#g" "crates/$package/${program}_bin.cdx.json" >"$bom"
  cargo tree --locked --package "$package" --target "$target" --edges normal,build --prefix none --format '{p}' |
    awk '{ sub(/^v/, "", $2); print $1, $2 }' | sort -u >"target/sbom/$program.packages"
  "$tools/bin/python" deploy/sbom/check.py "$bom" "target/sbom/$program.packages"
done
rm -f crates/*/*_bin.cdx.json
