#!/bin/sh
# Runs every fuzz target of the module for a while: fuzz.sh [DURATION], 10s each
# unless told. go test fuzzes one target of one package at a time.
set -eu

duration=${1:-10s}
targets=$(grep -rl --include='*_test.go' '^func Fuzz' . || true)
[ -n "$targets" ] || { echo "fuzz: there are no fuzz targets"; exit 0; }

for file in $targets; do
	for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "fuzz: $(dirname "$file") $name for $duration"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" "$(dirname "$file")"
	done
done
