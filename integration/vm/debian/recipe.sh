# The disk of the machine: the lab's root ($lab_root, set above this by image.go) with a
# kernel, what a kernel of one's own brings along, and the unit that starts the agent.
# Called with the directory to fill. The cache key is the hash of this text and, by
# the name of the lab's root, of the lab's recipe.
# shellcheck shell=sh
set -eu

to=$1
root=$to/tree
mkdir -p "$to"
cp -a "${lab_root:?}" "$root"

# What masks and hostless settings the lab's recipe made for containers is undone.
for unit in systemd-udevd systemd-udev-trigger systemd-udev-load-credentials systemd-sysctl; do
	rm -f "$root/etc/systemd/system/$unit.service"
done
mkdir -p "$root/etc/initramfs-tools/conf.d"
echo MODULES=list >"$root/etc/initramfs-tools/conf.d/lab"
echo COMPRESS=zstd >>"$root/etc/initramfs-tools/conf.d/lab"
printf '%s\n' virtio_pci virtio_blk virtio_console ext4 >"$root/etc/initramfs-tools/modules"
echo '/dev/vda / ext4 rw,relatime 0 1' >"$root/etc/fstab"

cat >"$root/etc/systemd/system/lab-agent.service" <<'UNIT'
[Unit]
Description=The lab's hands in this machine
DefaultDependencies=no
After=local-fs.target systemd-udevd.service
IgnoreOnIsolate=yes
RefuseManualStop=yes

[Service]
Delegate=yes
DelegateSubgroup=agent
ExecStartPre=mkdir -p /run/lab /opt/lab
ExecStartPre=udevadm wait --timeout=60 /dev/virtio-ports/agent /dev/vdb
ExecStartPre=tar -xf /dev/vdb -C /opt/lab
ExecStart=/opt/lab/agent /dev/virtio-ports/agent
KillMode=process
OOMScoreAdjust=-1000

[Install]
WantedBy=sysinit.target
UNIT
chroot "$root" systemctl --quiet enable lab-agent.service

# The network of this host serves apt for as long as it runs.
cp /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
trap 'umount "$root/proc" 2>/dev/null || true' EXIT
trap 'exit 1' INT TERM
chroot "$root" sh -eu -c '
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold \
		kmod kbd zstd initramfs-tools linux-image-amd64 alsa-utils
	apt-get clean
' >"$to/apt.log" 2>&1 || {
	tail -n 20 "$to/apt.log" >&2
	exit 1
}
umount "$root/proc"
rm -rf "$root"/var/lib/apt/lists/* "$root/etc/resolv.conf"
: >"$root/etc/machine-id"

cp "$root"/boot/vmlinuz-* "$to/vmlinuz"
cp "$root"/boot/initrd.img-* "$to/initrd.img"
truncate -s 4G "$to/disk.img"
mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 -O ^metadata_csum -d "$root" "$to/disk.img"
rm -rf "$root"
