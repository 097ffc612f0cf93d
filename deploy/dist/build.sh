#!/usr/bin/env bash
# Makes everything that a release consists of, in target/dist: a tarball, a Debian package, a Python wheel, an npm
# package, and their checksums. The same commit, compiler and system give the same files, bit for bit. Then check.sh
# installs each of them and uses it.
#
#   deploy/dist/build.sh
#   DIST_TARGET=x86_64-unknown-linux-musl deploy/dist/build.sh     programs without any library: for Alpine, old systems
#   DIST_PROGRAMS=target/debug deploy/dist/build.sh                to try the packaging: takes programs that are built
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${DIST_TARGET:-x86_64-unknown-linux-gnu}
out=target/dist
work=target/dist-work
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# The time of every file: that of the commit.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
description="Live state for AI agents and long-running workflows"

say() { printf 'dist: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# Copies the programs, without their symbols, to $work/bin.
programs() {
  local from=${DIST_PROGRAMS:-} program
  if [ -z "$from" ]; then
    say "building ltm-api, ltm-gateway and ltm for $target; this takes some minutes"
    deploy/release.sh --target "$target"
    from=target/$target/dist
  fi
  mkdir -p "$work/bin"
  for program in ltm ltm-api ltm-gateway; do
    strip -o "$work/bin/$program" "$from/$program"
  done
}

# The newest glibc that the programs ask for, such as 2.34; empty if they are static.
glibc() {
  local program
  for program in "$work"/bin/*; do readelf -V "$program"; done |
    sed -n 's/.*Name: GLIBC_\([0-9.]*\).*/\1/p' | sort -V | tail -n 1
}

# What more than one package contains: manual pages, completions, licences, the bill of materials.
shared() {
  local ltm=$work/bin/ltm shell
  mkdir -p "$work/man" "$work/completions" "$work/licences"
  "$ltm" man "$work/man" 2>/dev/null
  for shell in bash zsh fish; do "$ltm" completions "$shell" >"$work/completions/ltm.$shell"; done
  cp LICENSE LICENSE-APACHE LICENSE-MIT "$work/licences/"
  python3 deploy/dist/licences.py "$target" >"$work/licences/THIRD-PARTY"
  if [ -n "${DIST_PROGRAMS:-}" ] && ! cargo cyclonedx --version >/dev/null 2>&1; then
    say "WITHOUT A BILL OF MATERIALS: cargo-cyclonedx is not installed, and these are not the programs of a release"
    return
  fi
  deploy/setup.sh --sbom
  deploy/sbom.sh
  mkdir -p "$work/sbom"
  cp target/sbom/*.cdx.json "$work/sbom/"
}

# Gives all files in a folder the same owner-independent modes and the time of the commit.
settle() {
  chmod -R u=rwX,go=rX "$1"
  find "$1" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
}

tarball() {
  local name=ltm-live-$version-x86_64-linux
  local tree=$work/tarball/$name
  mkdir -p "$tree/bin" "$tree/share/man/man1" "$tree/etc"
  cp "$work"/bin/* "$tree/bin/"
  cp "$work"/man/* "$tree/share/man/man1/"
  cp -r "$work/completions" "$work/licences" "$tree/share/"
  [ ! -d "$work/sbom" ] || cp -r "$work/sbom" "$tree/share/"
  cp -r deploy/dist/systemd deploy/redis.conf "$tree/etc/"
  sed -e "s/@VERSION@/$version/g" -e "s/@NEEDS@/$needs/" deploy/dist/README.tarball.md >"$tree/README.md"
  settle "$tree"
  tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --format=gnu \
    --directory "$work/tarball" "$name" | gzip --no-name -9 >"$out/$name.tar.gz"
}

# All settings with their defaults, each as a comment. `--print-config` is the source, so the file is never out of date.
settings() {
  local program=$1
  cat <<TEXT
# The settings of $program. A line that begins with "# " shows a default; remove the "# " to change the value, then run
#   systemctl restart $program
# Every setting is explained in docs/settings.md. Variables such as LTM__REDIS__URL win.

TEXT
  env -i "$work/bin/$program" --print-config | sed 's/^\([a-z]\)/# \1/'
}

debian() {
  local tree=$work/debian page shell depends="passwd"
  local doc=$tree/usr/share/doc/ltm-live
  [ -z "$glibc" ] || depends="libc6 (>= $glibc), libgcc-s1, passwd"
  mkdir -p "$tree"/{DEBIAN,usr/bin,usr/lib/systemd/system,etc/ltm-live,usr/share/man/man1} "$doc/examples" \
    "$tree"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
  cp "$work"/bin/* "$tree/usr/bin/"
  cp deploy/dist/systemd/*.service "$tree/usr/lib/systemd/system/"
  settings ltm-api >"$tree/etc/ltm-live/ltm-api.toml"
  # Both services listen on port 8000 by default; on one machine they need two ports.
  settings ltm-gateway | sed 's/^# listen = .*/listen = "127.0.0.1:8001"/' >"$tree/etc/ltm-live/ltm-gateway.toml"
  # shellcheck disable=SC2094 # Two files.
  for page in "$work"/man/*; do gzip --no-name -9 <"$page" >"$tree/usr/share/man/man1/$(basename "$page").gz"; done
  cp "$work/completions/ltm.bash" "$tree/usr/share/bash-completion/completions/ltm"
  cp "$work/completions/ltm.zsh" "$tree/usr/share/zsh/vendor-completions/_ltm"
  cp "$work/completions/ltm.fish" "$tree/usr/share/fish/vendor_completions.d/ltm.fish"
  cat LICENSE "$work/licences/LICENSE-MIT" "$work/licences/LICENSE-APACHE" "$work/licences/THIRD-PARTY" >"$doc/copyright"
  [ ! -d "$work/sbom" ] || cp -r "$work/sbom" "$doc/"
  cp deploy/redis.conf "$doc/examples/"
  gzip --no-name -9 <CHANGELOG.md >"$doc/changelog.gz"
  settle "$tree"

  for page in conffiles postinst prerm postrm; do cp "deploy/dist/debian/$page" "$tree/DEBIAN/"; done
  sed -e "s/@VERSION@/$version/" -e "s/@DEPENDS@/$depends/" -e "s/@DESCRIPTION@/$description/" \
    -e "s/@SIZE@/$(du --apparent-size -sk "$tree/usr" | cut -f 1)/" deploy/dist/debian/control >"$tree/DEBIAN/control"
  (cd "$tree" && find etc usr -type f | LC_ALL=C sort | xargs md5sum) >"$tree/DEBIAN/md5sums"
  chmod 755 "$tree"/DEBIAN/{postinst,prerm,postrm}
  find "$tree/DEBIAN" -exec touch --date "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/ltm-live_${version}_amd64.deb" >/dev/null
}

wheel() {
  local tags="manylinux_2_17_x86_64.musllinux_1_1_x86_64"
  [ -z "$glibc" ] || tags="manylinux_${glibc/./_}_x86_64"
  python3 deploy/dist/python/wheel.py "$version" "py3-none-$tags" "$work/bin/ltm" "$out"
}

npm_package() {
  local tree=$work/npm
  mkdir -p "$tree/bin"
  cp "$work/bin/ltm" "$tree/bin/"
  cp "$work"/licences/* deploy/dist/npm/README.md "$tree/"
  node deploy/dist/npm/manifest.mjs "$version" "${glibc:+glibc}" >"$tree/package.json"
  settle "$tree"
  # npm itself sets the time of every file to a fixed date.
  (cd "$tree" && npm pack --silent --pack-destination "../../../$out") >/dev/null
}

for tool in dpkg-deb npm node python3 strip readelf; do
  command -v "$tool" >/dev/null || fail "$tool is missing; on Debian: apt-get install dpkg nodejs npm python3 binutils"
done
[ -n "$version" ] || fail "Cargo.toml names no version"
git diff --quiet HEAD || say "the folder has changes that are not in the commit; the packages contain them"
rm -rf "$work"
mkdir -p "$out"
rm -f "$out"/ltm-live* "$out"/ltm_live* "$out/SHA256SUMS"
programs
glibc=$(glibc)
needs="Linux on x86_64, with glibc $glibc or newer"
[ -n "$glibc" ] || needs="Linux on x86_64; the programs are static and need no library"
say "needs: $needs"
shared
tarball
debian
wheel
npm_package
(cd "$out" && sha256sum ltm-live*.tar.gz ltm-live*.deb ltm_live*.whl ltm-live*.tgz) >"$out/SHA256SUMS"
say "in $out:"
cat "$out/SHA256SUMS"
deploy/dist/check.sh
