#!/bin/sh
# Runs go test with the arguments given, under the race detector as RACE says:
#   auto      (or unset) where a C compiler is found, which it needs
#   required  or fail
#   off       without
set -eu

# can_compile: a compiler alone is not enough, the C library's headers must be there.
can_compile() { printf '#include <stdlib.h>\n' | $(go env CC) -E - >/dev/null 2>&1; }

case ${RACE:-auto} in
off)
	echo '==> go test'
	;;
auto | required)
	if can_compile; then
		echo '==> go test -race'
		export CGO_ENABLED=1
		set -- -race "$@"
	elif [ "${RACE:-auto}" = required ]; then
		echo "the race detector needs a C compiler and the C library's headers; on Debian: sudo apt-get install -y gcc libc6-dev" >&2
		exit 1
	else
		echo '==> go test (without the race detector: it needs a C compiler)'
		export CGO_ENABLED=0
	fi
	;;
*)
	echo "RACE is auto, required or off, not $RACE" >&2
	exit 2
	;;
esac
exec go test "$@"
