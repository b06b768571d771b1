#!/bin/bash
# What "make run" shows, inside the lab: the main job on a real systemd, with the
# journal beside it. alice is logged in with a real sway; vLLM is a stand-in.
run=/run/mode-controller
say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
do_() { printf '\033[1m$ %s\033[0m\n' "$*"; bash -c "$*"; }
ended() { # MODE: wait until the last attempt was one to MODE
	for _ in $(seq 300); do
		grep -q "\"requested\":\"$1\"" $run/last-transition.json 2>/dev/null && [ "$(modewatch state)" != transitioning ] && return
		sleep 0.1
	done
	echo "no attempt to $1 ended" >&2
	exit 1
}

systemd-sysusers 2>/dev/null
journalctl --update-catalog 2>/dev/null
for _ in $(seq 100); do [ "$(modewatch state)" = desktop ] && break; sleep 0.1; done

say "A real systemd, alice at her desk, nothing faked but the model server"
do_ 'modewatch status'
say "What would going to compute do, and stop?"
do_ 'modewatch dry-run compute'
say "The wish, with the journal beside it"
journalctl -t modewatch -f -n 0 -o cat | sed -u 's/^/    journal | /' &
tail=$!
sleep 0.3
do_ "echo compute > $run/desired"
ended compute
sleep 0.3
do_ 'modewatch state; loginctl list-sessions --no-legend; systemctl is-active compute.target vllm@compute.service k3s.service ssh.service'
say "And back, by request"
do_ 'modewatch request desktop'
sleep 0.3
kill $tail
do_ 'modewatch history'
