#!/usr/bin/env bash
# Installs what building and the lab lack on a Debian or Ubuntu machine, and
# says what it installs. Does nothing where all is there.
set -euo pipefail

need=()
wish=() # not in every release
command -v gcc >/dev/null || need+=(gcc libc6-dev) # the race detector links by it
command -v git >/dev/null || need+=(git)
command -v mmdebstrap >/dev/null || need+=(mmdebstrap)
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || need+=(debian-archive-keyring)
command -v systemd-nspawn >/dev/null || need+=(systemd-container)
command -v nsenter >/dev/null || need+=(util-linux)
command -v dbus-daemon >/dev/null || need+=(dbus-daemon) # unit tests talk to a real bus
command -v qemu-system-x86_64 >/dev/null || need+=(qemu-system-x86) # tests that need devices run in a virtual machine
command -v qemu-img >/dev/null || need+=(qemu-utils) # the disks of a whole Debian in a virtual machine
command -v mkfs.ext4 >/dev/null || need+=(e2fsprogs)
command -v depmod >/dev/null || need+=(kmod)
command -v shellcheck >/dev/null || need+=(shellcheck)
command -v zsh >/dev/null || need+=(zsh) # the shells that complete
command -v fish >/dev/null || need+=(fish)
command -v mandoc >/dev/null || need+=(mandoc) # checks the manual pages
command -v nix-instantiate >/dev/null || wish+=(nix-bin) # reads nix/; tests skip without
command -v go >/dev/null || need+=(golang-go)
[ -e /etc/ssl/certs/ca-certificates.crt ] || need+=(ca-certificates) # modules come by https

sudo=()
if [ "$(id -u)" != 0 ]; then sudo=(sudo); fi
if [ ${#need[@]} -gt 0 ]; then "${sudo[@]}" apt-get update -qq; fi
for package in "${wish[@]}"; do
	if apt-cache show "$package" >/dev/null 2>&1; then need+=("$package"); else echo "deps: there is no $package"; fi
done
if [ ${#need[@]} -gt 0 ]; then
	echo "deps: installing ${need[*]}"
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
fi

# Go 1.21 and later fetch the version that go.mod asks for by themselves. An older
# one, as of Debian 12, can at least download it, as the module that it also is.
old() {
	local minor
	minor=$(go version | sed -n 's/.* go1\.\([0-9]*\).*/\1/p')
	[ "${minor:-0}" -lt 21 ]
}
if old; then
	version=$(sed -n 's/^go //p' "$(dirname "$0")/../go.mod")
	to=/usr/local/lib/go-$version
	echo "deps: $(go version) is too old: installing go$version as /usr/local/bin/go"
	said=$(cd / && go mod download -json "golang.org/toolchain@v0.0.1-go$version.linux-$(go env GOARCH)") || {
		echo "deps: cannot fetch it: $said" >&2
		exit 1
	}
	"${sudo[@]}" cp -rT "$(echo "$said" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')" "$to"
	"${sudo[@]}" chmod -R u+w,a+rX "$to"
	"${sudo[@]}" find "$to/bin" "$to/pkg/tool" -type f -exec chmod a+x {} +
	"${sudo[@]}" ln -sf "$to/bin/go" "$to/bin/gofmt" /usr/local/bin/
	hash -r
	if old; then
		echo "deps: $(command -v go) is still $(go version): put /usr/local/bin before it in PATH" >&2
		exit 1
	fi
fi
