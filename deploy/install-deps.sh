#!/bin/sh
# install-deps.sh [build|check]: installs the Debian 12 packages that are missing, and nothing if none is.
#   build   what compiling and the demo need (the default)
#   check   that, and what the tests need
# Needs root or sudo only when something is missing.
set -eu

build="gcc libc6-dev make pkg-config libzmq3-dev libprotobuf-c-dev protobuf-c-compiler libsodium-dev liblmdb-dev libxxhash-dev
  libinih-dev libsmartcols-dev libjansson-dev libsystemd-dev procps tzdata util-linux"
check="clang libclang-rt-14-dev libcmocka-dev bats faketime lmdb-utils python3 openssl
  golang-go golang-golang-x-mod-dev age valgrind"
# The first version in which crypto_core_ed25519_is_valid_point is right (CVE-2025-69277).
sodium_min=1.0.18-1+deb12u1

fail() {
	echo "install-deps: $*" >&2
	exit 1
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# as_root COMMAND...: keeps apt silent unless it fails.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		env DEBIAN_FRONTEND=noninteractive "$@"
	elif command -v sudo >/dev/null; then
		sudo env DEBIAN_FRONTEND=noninteractive "$@"
	else
		fail "packages are missing ($missing ) and this is neither root nor is there sudo: install them, then try again"
	fi
}

case "${1-build}" in
build) wanted=$build ;;
check) wanted="$build $check" ;;
*) fail "usage: install-deps.sh [build|check]" ;;
esac
command -v dpkg-query >/dev/null || fail "this is not a Debian system; install by hand: $(echo $wanted)"

missing=
for package in $wanted; do
	is_installed "$package" || missing="$missing $package"
done
sodium=$(dpkg-query -W -f '${Version}' libsodium23 2>/dev/null || true)
if [ -n "$sodium" ] && dpkg --compare-versions "$sodium" lt "$sodium_min"; then
	missing="$missing libsodium23 libsodium-dev"
fi

if [ -n "$missing" ]; then
	echo "installing:$missing"
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	as_root apt-get update -qq >"$log" 2>&1 ||
		{ tail -n 5 "$log" >&2; fail "apt-get update failed: are the package sources reachable?"; }
	as_root apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1 ||
		{ tail -n 15 "$log" >&2; fail "apt-get could not install:$missing"; }
fi

sodium=$(dpkg-query -W -f '${Version}' libsodium23)
dpkg --compare-versions "$sodium" ge "$sodium_min" ||
	fail "libsodium $sodium accepts invalid public keys (CVE-2025-69277): version $sodium_min or later is needed"
