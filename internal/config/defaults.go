package config

import (
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// defaults is the configuration of an empty file, as it would be written. The
// numbers are those of D14 and D16; dist/config.toml says them with their
// meaning, and a test holds the two together.
func defaults() raw {
	return raw{
		LogLevel: "info",
		Boot:     rawBoot{Normalise: true},
		Triggers: rawTriggers{Background: false, DesiredFile: true, Return: false, Drift: true, Retry: true, Idle: rawIdle{
			Watch: false, Deny: []string{}, After: 20 * time.Minute, Countdown: 30 * time.Second, OnBlock: fsm.OnBlockRevert, MaxGPU: 20, Studio: false}},
		Transitions: defaultTransitions(),
		Units:       defaultUnits(),
		Sessions: rawSessions{Compositors: []string{
			"Hyprland", ".Hyprland-wrapp", "sway", ".sway-wrapped", "labwc", "river", "niri", "wayfire", "weston", "cage",
			"kwin_wayland", "kwin_x11", "gnome-shell", ".gnome-shell-wr", "mutter", "cosmic-comp", "gamescope", "Xorg", "X", "Xwayland",
		}},
		GPUs: rawGPUs{
			Planned: 2,
			Display: []string{"/dev/dri/card*", "/dev/dri/renderD*", "/dev/nvidia[0-9]*"},
			AI:      []string{"/dev/nvidia[0-9]*", "/dev/dri/renderD*"},
			Infra: []string{
				"nvidia-persistenced", "nvidia-persiste", "nvidia-powerd", "nv-hostengine", "dcgm-exporter", "systemd-logind", "modewatch",
			},
			NVML: nvmlAuto, NVMLLibrary: "", NVMLTimeout: 8 * time.Second,
		},
		Guards:  defaultGuards(),
		VLLM:    defaultVLLM(),
		Slices:  defaultSlices(),
		Force:   rawForce{Enabled: false},
		Paths:   rawPaths{Run: "/run/mode-controller", Lib: "/var/lib/mode-controller", Placement: "/run/mode-controller/capability-placement.json"},
		History: rawHistory{Max: 1000},
	}
}

func defaultTransitions() rawTransitions {
	return rawTransitions{
		StudioToCompute: fsm.StudioDirect,
		Overall:         25 * time.Minute,
		Deadlines: rawDeadlines{
			Start: 90 * time.Second, Stop: 90 * time.Second, Isolate: 60 * time.Second,
			SessionTerm: 10 * time.Second, SessionKill: 10 * time.Second, GPURelease: 30 * time.Second,
			Audio: 15 * time.Second, Prepare: 60 * time.Second, Budgets: 5 * time.Second, Observe: 10 * time.Second,
		},
	}
}

func defaultUnits() rawUnits {
	return rawUnits{
		Desktop: "desktop.target", Compute: "compute.target",
		StudioPolicy: "studio-local-policy.service", AudioPriority: "audio-priority.service",
		Graphical: "graphical-session.target",
		Starters:  []string{"display-manager.service"},
		Own:       []string{"modewatch.service", "mode-controller@*.service"},
		Protected: []string{
			"dbus.service", "dbus-broker.service", "dbus.socket", "systemd-logind.service", "systemd-journald.service",
			"systemd-udevd.service", "ssh.service", "sshd.service", "ssh@*.service", "sshd@*.service", "k3s.service", "k3s-agent.service",
			"NetworkManager.service", "systemd-networkd.service", "systemd-resolved.service", "tailscaled.service",
		},
		Audio: []string{
			"pipewire.socket", "pipewire-pulse.socket", "pulseaudio.socket",
			"wireplumber.service", "pipewire-pulse.service", "pipewire.service", "pulseaudio.service",
		},
		Switch: []string{"nixos-rebuild-switch-to-configuration.service", "nixos-upgrade.service"},
		Prepare: modesOfOne{
			Desktop: "mode-prepare-desktop.service", StudioLocal: "mode-prepare-studio-local.service", Compute: "mode-prepare-compute.service",
		},
	}
}

func defaultGuards() rawGuards {
	return rawGuards{
		SiteDir: "/etc/modewatch/guards.d", SiteTimeout: 5 * time.Second,
		Audio: rawAudioIdle{
			Processes: []string{
				"reaper", ".reaper-wrapped", "jackd", "jackdbus", "ardour", "ardour8", "ardour9",
				"bitwig-studio", "BitwigStudio", "renoise", "carla", "qtractor", "zrythm", "mixxx",
			},
			Nodes:   []string{"/dev/snd/pcm*"},
			Ignore:  []string{"pipewire", "pipewire-pulse", "wireplumber", "pulseaudio"},
			Servers: []string{"pipewire"}, PWDump: "pw-dump", Allow: []string{}, Deny: []string{},
			LowLatency: 6 * time.Millisecond, Debounce: 2 * time.Second,
		},
		CPULoad: rawCPULoad{MaxPressure: 40},
		Jobs: rawUserJobs{
			Processes: []string{
				"cc1", "cc1plus", "clang", "rustc", "cargo", "ninja", "make", "bazel", "gradle", "mvn", "nix", "nix-build", "nixos-rebuild",
				"apt", "apt-get", "dpkg", "dnf", "pacman", "rsync", "scp", "borg", "restic", "rclone", "dd", "ffmpeg", "tmux", "screen",
			},
			Allow: []string{}, Studio: false,
		},
		Memory: rawMemory{Model: 0, Floor: 2 << 30},
	}
}

func defaultVLLM() rawVLLM {
	return rawVLLM{
		Units: modesOfMany{Desktop: []string{}, StudioLocal: []string{}, Compute: []string{"vllm@compute.service"}},
		URL:   "http://127.0.0.1:8000", URLs: map[string]string{},
		RequireReady: true, Ready: 10 * time.Minute,
		Drain: rawDrain{Deadline: 5 * time.Minute, OnTimeout: fsm.DrainStop},
	}
}

func defaultSlices() rawSlices {
	weight := func(w int) rawBudget { return rawBudget{CPUWeight: w, IOWeight: w} }
	return rawSlices{
		Desktop:     rawBudgets{User: weight(300), Interactive: weight(300), AI: weight(50), Platform: weight(100)},
		StudioLocal: rawBudgets{User: weight(800), Interactive: weight(800), AI: weight(10), Platform: weight(50)},
		Compute:     rawBudgets{User: weight(100), Interactive: weight(100), AI: weight(800), Platform: weight(300)},
	}
}
