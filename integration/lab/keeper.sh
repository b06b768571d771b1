#!/bin/sh
# One machine's keeper. It is called
#
#	keeper.sh hold NAME ROOT    in a mount namespace and session of its own
#	keeper.sh release NAME      for what an owner and its keeper left behind
#
# hold mounts a throw-away tmpfs with an overlay of ROOT, makes the machine's
# cgroups, says "ready" and waits. When its standard input ends, because the
# owner closed it or died in whatever way, it ends the machine and removes every
# trace. LAB_DIR is the directory of the machines' directories, LAB_CGROUPS the
# mount points of the cgroup hierarchies.
set -u
verb=$1 name=$2 dir=$LAB_DIR/$2

hold() {
	mkdir "$dir" "$dir/m" || return
	for top in $LAB_CGROUPS; do mkdir "$top/$name" || return; done
	mount -t tmpfs -o mode=0755 modewatch-lab "$dir/m" || return
	mkdir "$dir/m/upper" "$dir/m/work" "$dir/m/root" || return
	mount -t overlay -o "lowerdir=$1,upperdir=$dir/m/upper,workdir=$dir/m/work" modewatch-lab "$dir/m/root"
}

# A killed process leaves its cgroup a moment after the signal.
emptied() {
	for top in $LAB_CGROUPS; do
		[ -d "$top/$name" ] || continue
		find "$top/$name" -depth -type d -exec rmdir {} + 2>/dev/null
		[ -d "$top/$name" ] && return 1
	done
	return 0
}

release() {
	for top in $LAB_CGROUPS; do
		[ -e "$top/$name/cgroup.kill" ] && echo 1 >"$top/$name/cgroup.kill"
	done
	tries=0
	until emptied; do
		tries=$((tries + 1))
		[ $tries -lt 500 ] || { echo "cannot empty the cgroups of $name" >&2; return 1; }
		sleep 0.01
	done
	for kind in propagate unix-export; do
		umount -l "/run/systemd/nspawn/$kind/$name" 2>/dev/null
		[ ! -d "/run/systemd/nspawn/$kind/$name" ] || rmdir "/run/systemd/nspawn/$kind/$name"
	done
	umount -l "$dir/m/root" 2>/dev/null
	umount -l "$dir/m" 2>/dev/null
	rm -f "$dir/notify" "$dir/console.log"
	[ ! -d "$dir/m" ] || rmdir "$dir/m"
	[ ! -d "$dir" ] || rmdir "$dir"
	return 0
}

case $verb in
hold)
	trap '' INT TERM HUP QUIT PIPE
	hold "$3" && echo ready && cat >/dev/null
	release
	;;
release) release ;;
esac
