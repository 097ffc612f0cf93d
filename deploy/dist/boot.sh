#!/usr/bin/env bash
# Boots a bare Debian in a virtual machine, installs the package in target/dist and Redis, and goes through what an
# operator does with the services under a real systemd: boot/in-machine.sh has the steps. Needs root, debootstrap and
# QEMU. Without KVM, QEMU emulates the processor, and the check takes about ten minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."

here=deploy/dist/boot
suite=${DIST_SUITE:-bookworm}
base=$PWD/target/boot-root-$suite
# In seconds, for everything that the machine does.
limit=${BOOT_LIMIT:-1800}
folder=$(mktemp -d)
machine=

# Also if the check is interrupted.
finish() {
  [ -z "$machine" ] || kill "$machine" 2>/dev/null || true
  wait
  rm -rf "$folder"
}
trap finish EXIT

say() { printf 'boot: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# Makes a bare Debian with a kernel, systemd and Redis once; later runs copy it. The cloud kernel is the standard kernel
# with the drivers of virtual machines only.
base_root() {
  [ -e "$base/ready" ] && return
  say "making a bare Debian $suite with a kernel in $base"
  rm -rf "$base"
  debootstrap --variant=minbase --include=systemd-sysv,udev,dbus,iproute2,linux-image-cloud-amd64,redis-server \
    "$suite" "$base" >"$base.log" 2>&1 || fail "debootstrap failed; see $base.log"
  rm -rf "$base"/var/cache/apt/archives/*.deb
  touch "$base/ready"
}

deb=$(echo target/dist/ltm-live_*_amd64.deb)
[ -f "$deb" ] || fail "there is no package in target/dist; run make dist"
[ "$(id -u)" = 0 ] || fail "making a Debian needs root"
base_root

cp -a "$base" "$folder/root"
cp "$deb" "$folder/root/root/ltm-live.deb"
cp "$here/in-machine.sh" "$folder/root/root/"
cp "$here/in-machine.service" "$folder/root/etc/systemd/system/"
ln -s ../in-machine.service "$folder/root/etc/systemd/system/multi-user.target.wants/"
mke2fs -q -t ext4 -d "$folder/root" "$folder/disk" 3G >/dev/null
cp "$folder"/root/boot/vmlinuz-* "$folder/kernel"
cp "$folder"/root/boot/initrd.img-* "$folder/initrd"
rm -rf "$folder/root"

# A virtual machine may have a /dev/kvm without a processor that can do it.
accelerator=tcg
{ [ -w /dev/kvm ] && grep -qE '^flags.* (vmx|svm) ' /proc/cpuinfo; } && accelerator=kvm
: >target/boot.log
say "booting, with $accelerator; the log is in target/boot.log"
timeout "$limit" qemu-system-x86_64 -machine "q35,accel=$accelerator" -cpu max -smp 2 -m 2G \
  -kernel "$folder/kernel" -initrd "$folder/initrd" -append "root=/dev/vda rw console=ttyS0 panic=-1 systemd.getty_auto=no" \
  -drive "file=$folder/disk,format=raw,if=virtio,cache=unsafe" -nic none -display none -monitor none -serial stdio \
  </dev/null >>target/boot.log 2>&1 &
machine=$!
# Of what the machine shows, the lines about the check.
tail --follow --lines +1 --pid "$machine" target/boot.log | sed -un 's/^\(boot: .*\)\r$/\1/p' >&2
grep -q '^boot: passed' target/boot.log || fail "the check did not pass; see target/boot.log"
