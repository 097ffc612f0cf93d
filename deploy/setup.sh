#!/usr/bin/env bash
# Installs what building and running needs and this machine lacks: a C linker, which Rust links with, and
# Redis. Rust itself must be there. What is installed already is left alone.
#
#   deploy/setup.sh          for make run
#   deploy/setup.sh --test   what the tests start besides: HAProxy, libfaketime for clocks that are wrong, and curl and
#                            Python, which the guides use
#   deploy/setup.sh --bench  nginx with Nchan, to measure beside it
#   deploy/setup.sh --lint   rustfmt and clippy too
#   deploy/setup.sh --chart  Python with venv too, which the Helm chart is checked with
#   deploy/setup.sh --deny   cargo-deny, which the dependencies are checked with
#   deploy/setup.sh --sbom   cargo-cyclonedx and Python, for the bill of materials
#   deploy/setup.sh --client Node and Chromium, which the client of browsers and the inspector are tested in
#   deploy/setup.sh --examples Python and curl besides, which the examples use
#   deploy/setup.sh --dashboard HAProxy, Prometheus, Node and Chromium, with which the dashboard is drawn
#   deploy/setup.sh --fuzz   the nightly toolchain and cargo-fuzz too
set -euo pipefail

redis_needed=6.2

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

may_be_root() {
  [ "$(id -u)" = 0 ] && return
  have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs packages: first the name that Homebrew knows, then the names that apt knows.
install_packages() {
  local brew_name=$1
  shift
  if have apt-get; then
    may_be_root || fail "installing needs root. Run as root, then try again: apt-get update && apt-get install -y $*"
    say "installing $* with apt-get"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
      say "apt-get update failed; going on with the lists that are here"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 ||
      fail "apt-get could not install $*: its message is above"
  elif have brew; then
    say "installing $brew_name with Homebrew"
    brew install --quiet "$brew_name" >&2 || fail "brew could not install $brew_name: its message is above"
  else
    fail "$* missing, and neither apt-get nor brew is here. Install it with this system's package manager, then try again"
  fi
}

need_rust() {
  have cargo || fail "Rust is missing. Install it as https://rustup.rs says, then try again"
}

need_linker() {
  have cc && return
  if [ "$(uname)" = Darwin ]; then
    fail "the C linker is missing. Run xcode-select --install, then try again"
  fi
  install_packages gcc gcc libc6-dev
  have cc || fail "gcc is installed, but there is no cc on PATH"
}

redis_version() {
  redis-server --version | sed -n 's/.*v=\([0-9][0-9.]*\).*/\1/p'
}

need_redis() {
  have redis-server || install_packages redis redis-server
  have redis-server || fail "Redis is installed, but there is no redis-server on PATH"
  local version oldest
  version=$(redis_version)
  oldest=$(printf '%s\n%s\n' "$redis_needed" "$version" | sort -V | head -n 1)
  [ "$oldest" = "$redis_needed" ] ||
    fail "redis-server is version ${version:-unknown}; $redis_needed or newer is needed. See https://redis.io/docs/latest/operate/oss_and_stack/install/"
}

need_haproxy() {
  have haproxy || install_packages haproxy haproxy
  have haproxy || fail "HAProxy is installed, but there is no haproxy on PATH"
}

have_faketime() { compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null; }

need_faketime() {
  have_faketime || install_packages libfaketime libfaketime
  have_faketime || say "libfaketime is not where the clock tests look for it; they need Linux, and will fail"
}

have_nchan() { compgen -G '/usr/lib/nginx/modules/ngx_nchan_module.so' >/dev/null; }

need_nchan() {
  have_nchan || install_packages nginx nginx-light libnginx-mod-nchan
  have_nchan || fail "nginx with Nchan is not where it is looked for (/usr/lib/nginx/modules); measure without it: ltm-bench --on live,floor"
}

need_lint_tools() {
  local missing=()
  cargo fmt --version >/dev/null 2>&1 || missing+=(rustfmt)
  cargo clippy --version >/dev/null 2>&1 || missing+=(clippy)
  [ ${#missing[@]} = 0 ] && return
  have rustup || fail "${missing[*]} missing, and there is no rustup to add it. Install it with the package manager that Rust came from"
  rustup component add "${missing[@]}"
}

need_python() {
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || install_packages python python3 python3-venv
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || fail "python3 is older than 3.9, which is needed"
}

need_node() {
  local advice="Install Node 20 or newer as https://nodejs.org says, then try again"
  { have node && have npm; } || install_packages node nodejs npm
  node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || fail "node is $(node --version). $advice"
}

need_chromium() {
  [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || install_packages chromium chromium
  [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || fail "Chromium is not at ${CHROMIUM:-/usr/bin/chromium}: say in CHROMIUM where it is"
}

need_curl() {
  have curl || install_packages curl curl
  have curl || fail "curl is installed, but there is no curl on PATH"
}

need_jq() {
  have jq || install_packages jq jq
  have jq || fail "jq is installed, but there is no jq on PATH"
}

need_prometheus() {
  have prometheus || install_packages prometheus prometheus
  have prometheus || fail "Prometheus is installed, but there is no prometheus on PATH"
}

# A tool from crates.io: its name, its version. Unoptimized, it is built in a minute and fast enough.
need_tool() {
  cargo "${1#cargo-}" --version 2>/dev/null | grep -qF "$2" && return
  say "building $1 $2"
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --profile dev --force "$1@$2"
}

need_fuzzer() {
  have rustup || fail "fuzzing needs the nightly toolchain, and there is no rustup to add it. See https://rustup.rs"
  cargo +nightly --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal
  cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
}

need_rust
need_linker
need_redis
case "${1:-}" in
  --test)
    need_haproxy
    need_faketime
    need_curl
    need_python
    ;;
  --bench) need_nchan ;;
  --lint) need_lint_tools ;;
  --chart) need_python ;;
  --deny) need_tool cargo-deny 0.20.2 ;;
  --sbom)
    need_tool cargo-cyclonedx 0.5.9
    need_python
    ;;
  --client)
    need_node
    need_chromium
    ;;
  --examples)
    need_node
    need_chromium
    need_python
    need_curl
    ;;
  --dashboard)
    need_haproxy
    need_prometheus
    need_node
    need_chromium
    need_curl
    need_jq
    ;;
  --fuzz) need_fuzzer ;;
esac
