#!/bin/sh
# The lab's root: a minimal Debian trixie with the real things that the tests
# watch. Called with the directory to fill. The cache key is the hash of this
# file, so any change of it makes a new root.
set -eu

packages="systemd,systemd-sysv,udev,dbus,dbus-user-session,libpam-systemd,polkitd,
login,passwd,procps,iproute2,kbd,less,socat,strace,openssh-server,openssh-client,
libglib2.0-bin,dbus-broker,tmux,mako-notifier,
pipewire,pipewire-bin,pipewire-pulse,pipewire-jack,jack-example-tools,pulseaudio-utils,wireplumber,sway"

# Run by mmdebstrap with the new root as $1.
# shellcheck disable=SC2016
tweak='
set -eu
chroot "$1" groupadd --system modewatch
chroot "$1" useradd --uid 1000 --create-home --shell /bin/bash alice
chroot "$1" useradd --uid 1001 --create-home --shell /bin/bash --groups modewatch bob

# ssh to either user over the loopback, from root and from both users.
for who in root alice bob; do
	home=$(chroot "$1" getent passwd $who | cut -d: -f6)
	chroot "$1" install -d -m 0700 -o $who -g $who $home/.ssh
	chroot "$1" setpriv --reuid=$who --regid=$who --init-groups \
		ssh-keygen -q -t ed25519 -N "" -C $who@lab -f $home/.ssh/id_ed25519
	printf "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n" >"$1$home/.ssh/config"
	chroot "$1" chown $who:$who $home/.ssh/config
done
for who in alice bob; do
	cat "$1"/root/.ssh/*.pub "$1"/home/*/.ssh/*.pub >"$1/home/$who/.ssh/authorized_keys"
	chroot "$1" chown $who:$who /home/$who/.ssh/authorized_keys
done
mkdir -p "$1/etc/ssh/sshd_config.d"
printf "ListenAddress 127.0.0.1\nUseDNS no\n" >"$1/etc/ssh/sshd_config.d/lab.conf"
chroot "$1" systemctl enable ssh.service

# Either bus is there; the reference one runs unless a test enables the other.
chroot "$1" systemctl disable --quiet dbus-broker.service
chroot "$1" systemctl --global disable --quiet dbus-broker.service

# What cannot run in a container, or would run by itself at an odd moment.
chroot "$1" systemctl mask systemd-networkd-wait-online.service systemd-udev-trigger.service \
	systemd-udevd.service systemd-udev-load-credentials.service systemd-timesyncd.service \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
	e2scrub_all.timer e2scrub_reap.service systemd-tmpfiles-clean.timer systemd-sysctl.service
for generator in systemd-ssh-generator systemd-gpt-auto-generator systemd-hibernate-resume-generator \
	systemd-tpm2-generator systemd-sysv-generator systemd-rc-local-generator; do
	mkdir -p "$1/etc/systemd/system-generators"
	ln -s /dev/null "$1/etc/systemd/system-generators/$generator"
done

# Up to date as of now: no ldconfig, no catalogue rebuild at each boot.
chroot "$1" systemd-sysusers
chroot "$1" journalctl --update-catalog
rm -f "$1/etc/machine-id" "$1/var/lib/dbus/machine-id" "$1/etc/resolv.conf"
: >"$1/etc/machine-id"
mkdir -p "$1/var/log/journal"
echo lab >"$1/etc/hostname"
printf "127.0.0.1 localhost lab\n" >"$1/etc/hosts"
touch "$1/etc/.updated" "$1/var/.updated"
'

exec mmdebstrap --quiet --variant=minbase --include="$(echo "$packages" | tr -d '\n')" \
	--aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/info/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook="$tweak" \
	trixie "$1"
