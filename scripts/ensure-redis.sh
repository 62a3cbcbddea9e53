#!/bin/sh
# Sees to it that the tests find a Redis server, 7.0 or later, and installs one
# through apt-get where it may (as root, or with a sudo that asks for nothing).
# Where it may not, it prints the command to run and fails. Reads no input.
#
# REDIS_SERVER names another server than redis-server, a valkey-server for
# instance; that one is not installed.
#
# The tests start servers of their own. Debian's package would start one on port
# 6379 as well, and again at every boot: it is told not to. A Redis that is there
# already is left alone.
set -eu

server=${REDIS_SERVER:-redis-server}

say() { printf '%s\n' "ensure-redis: $*" >&2; }

# major prints the first number of the server's version.
major() { "$server" --version | sed -n 's/.* v=\([0-9][0-9]*\)\..*/\1/p'; }

give_up() {
	sudo='sudo '
	[ "$(id -u)" -ne 0 ] || sudo=
	say "$1"
	say "install Redis 7.0 or later and run this again, for instance with"
	if command -v apt-get >/dev/null; then
		say "    ${sudo}apt-get update && ${sudo}apt-get install -y redis-server"
	elif command -v brew >/dev/null; then
		say "    brew install redis"
	elif command -v dnf >/dev/null; then
		say "    ${sudo}dnf install -y redis"
	fi
	say "or, where your system's is older, from https://redis.io/downloads"
	exit 1
}

check_version() {
	found=$(major)
	[ "${found:-0}" -ge 7 ] || give_up "$(command -v "$server") is version ${found:-unknown}, too old"
}

if command -v "$server" >/dev/null; then
	check_version
	exit 0
fi
[ "$server" = redis-server ] || give_up "there is no $server, which REDIS_SERVER names"

command -v apt-get >/dev/null || give_up "there is no redis-server on the PATH, and no apt-get to install it"
if [ "$(id -u)" -eq 0 ]; then
	as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	as_root="sudo -n"
else
	give_up "there is no redis-server on the PATH, and it takes root to install it"
fi

say "there is no redis-server on the PATH: installing it through apt-get"

# A policy-rc.d that answers 101 keeps packages from starting services. If the
# machine has a policy of its own, that one stands.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	remove_policy() { $as_root rm -f "$policy"; }
	trap remove_policy EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
fi

apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2; }

# A machine whose package lists cannot be refreshed may still have good ones.
apt update || say "apt-get update failed; trying with the lists that are there"
apt install -y --no-install-recommends redis-server || give_up "apt-get could not install redis-server"
$as_root update-rc.d redis-server disable >/dev/null 2>&1 || say "could not disable the redis-server service; it starts at the next boot"

command -v redis-server >/dev/null || give_up "apt-get installed redis-server, but it is not on the PATH"
check_version
say "installed $(redis-server --version | cut -d' ' -f1-3); its service is neither running nor enabled"
