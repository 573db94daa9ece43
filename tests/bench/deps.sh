#!/bin/sh
# deps.sh PACKAGE...: installs those of them that are missing, for `make bench`, and starts none of their services: Debian starts what it
# installs unless policy-rc.d forbids it, so one stands there meanwhile if the machine has none.
set -eu
policy=/usr/sbin/policy-rc.d
missing=
for package in "$@"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || { echo "bench-deps: not root: install by hand:$missing" >&2; exit 1; }
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends $missing
