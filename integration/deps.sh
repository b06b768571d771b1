#!/usr/bin/env bash
# Installs what building and the lab lack on a Debian or Ubuntu machine, and
# says what it installs. Does nothing where all is there.
set -euo pipefail

need=()
command -v gcc >/dev/null || need+=(gcc libc6-dev) # the race detector links by it
command -v git >/dev/null || need+=(git)
command -v mmdebstrap >/dev/null || need+=(mmdebstrap)
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || need+=(debian-archive-keyring)
command -v systemd-nspawn >/dev/null || need+=(systemd-container)
command -v nsenter >/dev/null || need+=(util-linux)
command -v dbus-daemon >/dev/null || need+=(dbus-daemon) # unit tests talk to a real bus
command -v shellcheck >/dev/null || need+=(shellcheck)
command -v go >/dev/null || need+=(golang-go)

if [ ${#need[@]} -gt 0 ]; then
	echo "deps: installing ${need[*]}"
	sudo=()
	if [ "$(id -u)" != 0 ]; then sudo=(sudo); fi
	"${sudo[@]}" apt-get update -qq
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
fi

# go 1.21 and later fetch the toolchain that go.mod asks for by themselves.
minor=$(go version | sed -n 's/.* go1\.\([0-9]*\).*/\1/p')
if [ "${minor:-0}" -lt 21 ]; then
	echo "deps: $(go version) is too old: install Go 1.21 or later, which fetches what go.mod asks for" >&2
	exit 1
fi
