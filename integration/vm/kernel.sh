#!/bin/sh
# The kernel that the virtual machine boots: Debian's, with the modules of the
# devices that a container cannot have. Called with the directory to fill. The cache
# key is the hash of this file, so any change of it makes another.
set -eu

modules="evdev uinput snd-dummy snd-pcm-oss"

to=$1
mkdir -p "$to/modules"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
kernel() { apt-cache depends -i linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1; }
[ -n "$(kernel)" ] || apt-get update -qq
name=$(kernel)
[ -n "$name" ] || {
	echo "no package linux-image-amd64 is to be had here" >&2
	exit 1
}
apt-get download -qq "$name" || {
	apt-get update -qq
	name=$(kernel)
	apt-get download -qq "$name"
}
dpkg-deb -x ./*.deb root
version=${name#linux-image-}
cp "root/boot/vmlinuz-$version" "$to/vmlinuz"
depmod -b root "$version"
n=100
for module in $modules; do
	modprobe -d root -S "$version" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while read -r file; do
	n=$((n + 1))
	cp "$file" "$to/modules/$n-$(basename "$file")"
done
for file in "$to"/modules/*.xz; do
	[ ! -e "$file" ] || xz -d "$file"
done
echo "$version" >"$to/version"
