#!/usr/bin/env bash
# Reads `go test -v` from stdin, shows results without the chatter, and lists
# what was skipped and why. Fails as the tests do.
set -uo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
tee "$log" | grep -E --line-buffered '^(=== RUN|--- |    --- FAIL|ok|FAIL|panic:|PASS)|_test.go:[0-9]+:|figure:' | grep -v --line-buffered '^=== RUN'
skips=$(grep -c -E '^ *--- SKIP' "$log")
echo "skipped: $skips"
grep -E -A2 '^ *--- SKIP' "$log" || true
! grep -q -E '^(FAIL|panic:)|--- FAIL' "$log"
