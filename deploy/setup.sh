#!/usr/bin/env bash
# Installs missing tools for building and running: a C linker for Rust, and Redis. Rust itself must be installed
# already. The script does not change what is installed. An option adds more tools:
#
#   deploy/setup.sh             for make run
#   deploy/setup.sh --test      for the tests: HAProxy, libfaketime (wrong clocks), curl and Python (guides)
#   deploy/setup.sh --bench     nginx with Nchan, and Centrifugo if Go is here, to compare with
#   deploy/setup.sh --lint      rustfmt and clippy
#   deploy/setup.sh --guard     Valgrind, to count instructions
#   deploy/setup.sh --chart     Python with venv, to check the Helm chart
#   deploy/setup.sh --deny      cargo-deny, to check the dependencies
#   deploy/setup.sh --sbom      cargo-cyclonedx and Python, for the bill of materials
#   deploy/setup.sh --dist      debootstrap, Node, Python and binutils, to make packages and try them
#   deploy/setup.sh --boot      debootstrap and QEMU, to boot a machine with the package
#   deploy/setup.sh --client    Node and Chromium, to test the JavaScript client and the inspector
#   deploy/setup.sh --browsers  the same, and Firefox, to test the JavaScript client in both
#   deploy/setup.sh --proxies   Node, Chromium, HAProxy, nginx and Python, to test the configurations of proxies
#   deploy/setup.sh --python    Python with venv, to check the Python package
#   deploy/setup.sh --flou      Python and PostgreSQL, to test the Python package with Flou
#   deploy/setup.sh --examples  Node, Chromium, Python and curl, to test the examples
#   deploy/setup.sh --dashboard HAProxy, Prometheus, Node, Chromium, curl and jq, to draw the dashboard
#   deploy/setup.sh --fuzz      the nightly toolchain and cargo-fuzz
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

# Installs packages: the first argument is Homebrew's name, the others are apt's names.
install_packages() {
  local brew_name=$1
  shift
  if have apt-get; then
    may_be_root || fail "installing packages needs root. Run this as root, then try again: apt-get update && apt-get install -y $*"
    say "installing $* with apt-get"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
      say "apt-get update failed; continuing with the existing package lists"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 ||
      fail "apt-get could not install $*; see its message above"
  elif have brew; then
    say "installing $brew_name with Homebrew"
    brew install --quiet "$brew_name" >&2 || fail "brew could not install $brew_name; see its message above"
  else
    fail "$* is missing, and there is neither apt-get nor brew. Install it with your package manager, then try again"
  fi
}

need_rust() {
  have cargo || fail "Rust is missing. Install it from https://rustup.rs, then try again"
}

need_linker() {
  have cc && return
  if [ "$(uname)" = Darwin ]; then
    fail "a C linker is missing. Run xcode-select --install, then try again"
  fi
  install_packages gcc gcc libc6-dev
  have cc || fail "gcc is installed, but cc is not on PATH"
}

redis_version() {
  redis-server --version | sed -n 's/.*v=\([0-9][0-9.]*\).*/\1/p'
}

need_redis() {
  have redis-server || install_packages redis redis-server
  have redis-server || fail "Redis is installed, but redis-server is not on PATH"
  local version oldest
  version=$(redis_version)
  oldest=$(printf '%s\n%s\n' "$redis_needed" "$version" | sort -V | head -n 1)
  [ "$oldest" = "$redis_needed" ] ||
    fail "redis-server is version ${version:-unknown}, but ltm-live needs $redis_needed or newer. See https://redis.io/docs/latest/operate/oss_and_stack/install/"
}

need_haproxy() {
  have haproxy || install_packages haproxy haproxy
  have haproxy || fail "HAProxy is installed, but haproxy is not on PATH"
}

have_faketime() { compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null; }

need_faketime() {
  have_faketime || install_packages libfaketime libfaketime
  have_faketime || say "libfaketime is not in /usr/lib/*/faketime; the clock tests need it there, on Linux, and will fail"
}

have_nchan() { compgen -G '/usr/lib/nginx/modules/ngx_nchan_module.so' >/dev/null; }

need_nchan() {
  have_nchan || install_packages nginx nginx-light libnginx-mod-nchan
  have_nchan || fail "Nchan's module is not in /usr/lib/nginx/modules; to measure without it: ltm-bench --on live,floor"
}

# Without Go, the benchmark measures without it.
need_centrifugo() {
  local version=v6.9.1 folder=target/centrifugo
  have centrifugo && return
  [ -f "$folder/$version" ] && return
  have go || {
    say "Go is missing; the benchmark leaves out Centrifugo"
    return
  }
  say "building Centrifugo $version"
  mkdir -p "$folder"
  GOBIN=$PWD/$folder go install "github.com/centrifugal/centrifugo/v6@$version"
  touch "$folder/$version"
}

need_lint_tools() {
  local missing=()
  cargo fmt --version >/dev/null 2>&1 || missing+=(rustfmt)
  cargo clippy --version >/dev/null 2>&1 || missing+=(clippy)
  [ ${#missing[@]} = 0 ] && return
  have rustup || fail "${missing[*]} is missing, and so is rustup. Install it with the package manager that installed Rust"
  rustup component add "${missing[@]}"
}

need_python() {
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || install_packages python python3 python3-venv
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || fail "python3 is too old; 3.9 or newer is needed"
}

need_node() {
  local advice="Install Node 20 or newer from https://nodejs.org, then try again"
  { have node && have npm; } || install_packages node nodejs npm
  node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || fail "node is $(node --version). $advice"
}

need_chromium() {
  [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || install_packages chromium chromium
  [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || fail "Chromium is not at ${CHROMIUM:-/usr/bin/chromium}; set CHROMIUM to its path"
}

need_firefox() {
  [ -x "${FIREFOX:-/usr/bin/firefox-esr}" ] || install_packages firefox firefox-esr
  [ -x "${FIREFOX:-/usr/bin/firefox-esr}" ] || fail "Firefox is not at ${FIREFOX:-/usr/bin/firefox-esr}; set FIREFOX to its path"
}

need_nginx() {
  have nginx || install_packages nginx nginx-light
  have nginx || fail "nginx is installed, but it is not on PATH"
}

need_curl() {
  have curl || install_packages curl curl
  have curl || fail "curl is installed, but it is not on PATH"
}

have_postgres() { compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }

need_postgres() {
  have_postgres || install_packages postgresql postgresql
  have_postgres || fail "PostgreSQL is not in /usr/lib/postgresql, where Debian has it"
}

need_jq() {
  have jq || install_packages jq jq
  have jq || fail "jq is installed, but it is not on PATH"
}

need_prometheus() {
  have prometheus || install_packages prometheus prometheus
  have prometheus || fail "Prometheus is installed, but prometheus is not on PATH"
}

# Installs a tool from crates.io: name, version. The dev profile builds it in a minute, and it is fast enough.
need_tool() {
  cargo "${1#cargo-}" --version 2>/dev/null | grep -qF "$2" && return
  say "building $1 $2"
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --profile dev --force "$1@$2"
}

need_valgrind() {
  have valgrind || install_packages valgrind valgrind
  have valgrind || fail "Valgrind is installed, but it is not on PATH"
}

need_dist_tools() {
  { have dpkg-deb && have strip; } || install_packages dpkg dpkg binutils
  # Without it, check.sh says that it could not use a bare Debian.
  have debootstrap || ! may_be_root || ! have apt-get || install_packages debootstrap debootstrap
  case "${DIST_TARGET:-}" in
    *-musl)
      have musl-gcc || install_packages musl-cross musl-tools
      have rustup && rustup target add "$DIST_TARGET"
      ;;
  esac
}

need_machine() {
  { have debootstrap && have qemu-system-x86_64; } || install_packages qemu debootstrap qemu-system-x86
  have debootstrap || fail "debootstrap is missing; it makes the Debian of the machine, and only Linux has it"
}

need_fuzzer() {
  have rustup || fail "fuzzing needs the nightly toolchain, and rustup is missing. See https://rustup.rs"
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
  --bench)
    need_nchan
    need_centrifugo
    ;;
  --lint) need_lint_tools ;;
  --chart | --python) need_python ;;
  --flou)
    need_python
    need_postgres
    ;;
  --guard) need_valgrind ;;
  --deny) need_tool cargo-deny 0.20.2 ;;
  --sbom)
    need_tool cargo-cyclonedx 0.5.9
    need_python
    ;;
  --dist)
    need_node
    need_python
    need_dist_tools
    ;;
  --boot) need_machine ;;
  --client)
    need_node
    need_chromium
    ;;
  --browsers)
    need_node
    need_chromium
    need_firefox
    ;;
  --proxies)
    need_node
    need_chromium
    need_haproxy
    need_nginx
    need_python
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
