package config

import (
	"strings"
	"testing"
)

// TestFaults holds what a person is told, word for word.
func TestFaults(t *testing.T) {
	rows := []struct{ in, want string }{
		// Syntax.
		{"log_level = ", `x.toml:1:12: `},
		{"a = 1\na = 2\n", `x.toml:2:1: `},
		{"\xff", `x.toml:1:1: `},
		// Keys.
		{"log_levle = \"info\"", `x.toml:1:1: log_levle is not a known key; did you mean "log_level"?`},
		{"[transition]\noverall = \"1h\"", `x.toml:1:2: transition is not a known key; did you mean "transitions"?`},
		{"background = true", `x.toml:1:1: background is not a known key; did you mean triggers.background?`},
		{"[force]\nzzzzzz = true", `x.toml:2:1: force.zzzzzz is not a known key; known here: enabled`},
		{"vllm = { drain = { dedline = \"1s\" } }", `x.toml:1:20: vllm.drain.dedline is not a known key; did you mean "deadline"?`},
		// Types.
		{"log_level = 1", `x.toml:1:1: log_level is a whole number, not a string; write "…"`},
		{"[boot]\nnormalize = \"yes\"", `x.toml:2:1: boot.normalize is a string, not a boolean; write true or false`},
		{"history.max = 1.5", `x.toml:1:9: history.max is a number, not a whole number; write a number without a point`},
		{"guards.cpu_load_safe.max_pressure = \"40\"", `guards.cpu_load_safe.max_pressure is a string, not a number; write a number such as 40.0`},
		{"guards.cpu_load_safe.max_pressure = nan", `guards.cpu_load_safe.max_pressure is NaN; write a number such as 40.0`},
		{"units = 3", `x.toml:1:1: units is a whole number, not a table; write [units] and its keys below`},
		{"vllm.urls = true", `x.toml:1:6: vllm.urls is a boolean, not a table; write [vllm.urls] and its keys below`},
		{"[vllm.urls]\n\"a@b.service\" = 8000", `x.toml:2:1: vllm.urls."a@b.service" is a whole number, not a string; write "…"`},
		{"units.own = \"modewatch.service\"", `x.toml:1:7: units.own is a string, not a list; write ["…", "…"]`},
		{"units.own = [\"a.service\", 2]", `units.own has a whole number as item 2, not a string`},
		{"units.own = [\"\"]", `units.own has an empty item 1; drop it`},
		{"units.own = [\"a.service\", \"a.service\"]", `units.own lists "a.service" twice; drop one`},
		{"[[units]]\nown = []", `x.toml:1:3: units is a list, not a table`},
		{"history.max = 2020-01-01", `history.max is a date or time, not a whole number`},
		{"log_level = {}", `log_level is a table, not a string`},
		// Durations and sizes.
		{"transitions.overall = 30", `x.toml:1:13: transitions.overall is a number, and a duration needs a unit; write "30s"`},
		{"transitions.overall = \"30\"", `transitions.overall is "30", and a duration needs a unit; write "30s"`},
		{"transitions.overall = \"soon\"", `transitions.overall is "soon", which is no duration; write a duration such as "90s", "10m" or "1m30s"`},
		{"transitions.overall = true", `transitions.overall is a boolean, not a duration; write a duration such as "30s"`},
		{"vllm.ready = \"0s\"", `vllm.ready is 0s; write a duration above 0 and up to 24h0m0s`},
		{"vllm.ready = \"-5s\"", `vllm.ready is -5s; write a duration above 0`},
		{"vllm.drain.deadline = \"25h\"", `vllm.drain.deadline is 25h0m0s; write a duration above 0 and up to 24h0m0s`},
		{"guards.memory_headroom.floor = \"2 gigs\"", `guards.memory_headroom.floor is "2 gigs", which is no size; write a size such as "40GiB", or a number of bytes`},
		{"guards.memory_headroom.floor = -1", `guards.memory_headroom.floor is negative`},
		{"guards.memory_headroom.floor = 2.5", `guards.memory_headroom.floor is a number, not a size`},
		{"guards.memory_headroom.model = \"infinity\"", `guards.memory_headroom.model is more memory than there is; write the size of the model, such as "40GiB"`},
		{"guards.memory_headroom.floor = \"infinity\"", `guards.memory_headroom.floor is more memory than there is`},
		// Words and ranges.
		{"log_level = \"warning\"", `log_level is "warning"; did you mean "warn"? known are "trace", "debug", "info", "warn", "error"`},
		{"log_level = \"chatty-and-loud\"", `log_level is "chatty-and-loud"; write one of "trace"`},
		{"transitions.studio_to_compute = \"via_desktop\"", `transitions.studio_to_compute is "via_desktop"; did you mean "via-desktop"?`},
		{"vllm.drain.on_timeout = \"kill\"", `vllm.drain.on_timeout is "kill"; write one of "stop", "block"`},
		{"gpus.planned = 0", `gpus.planned is 0; write a number from 1 to 64`},
		{"guards.cpu_load_safe.max_pressure = 101", `guards.cpu_load_safe.max_pressure is 101; write a number from 1 to 100`},
		{"history.max = 0", `history.max is 0; write a number from 1 to 100000`},
		{"slices.desktop.ai.cpu_weight = 10001", `x.toml:1:19: slices.desktop.ai.cpu_weight is 10001; write a weight from 1 to 10000, or 0 to leave it as it is`},
		{"slices.desktop.ai.io_weight = -1", `slices.desktop.ai.io_weight is -1`},
		{"slices.desktop.ai = { memory_high = \"2GiB\", memory_max = \"1GiB\" }\n" +
			"slices.studio-local.ai = { memory_high = 1, memory_max = 1 }\nslices.compute.ai = { memory_high = 1, memory_max = 1 }", `slices.desktop.ai.memory_high is 2GiB, above memory_max, which is 1GiB; write less`},
		// Contradictions.
		{"transitions.overall = \"1m\"", `transitions.overall is 1m0s, but the deadlines of the steps studio-local → compute sum up to 20m40s; write at least "20m40s", or shorten deadlines`},
		{"vllm.ready = \"20m\"", `x.toml: transitions.overall is 25m0s, but the deadlines of the steps studio-local → compute sum up to 30m40s`},
		{"transitions.deadlines.gpu_release = \"5s\"", `transitions.deadlines.gpu_release is 5s, but logind lets a user's processes go only 10s after the last session; write "30s" (D16)`},
		{"transitions.deadlines.observe = \"4s\"", `x.toml:1:23: guards.site_timeout leaves no time: a site guard may take 5s, an observation has 4s`},
		{"slices.compute.ai.memory_max = \"8GiB\"", `slices.compute.ai.memory_max is set, but desktop does not set it, and the value would stay in force there; set it in [slices.desktop.ai] too`},
		{"slices.compute.user.cpu_weight = 0", `x.toml:1:21: slices.desktop.user.cpu_weight is set, but compute does not set it, and the value would stay in force there; set it in [slices.compute.user] too`},
		{"paths.run_dir = \"/var/lib/mode-controller\"", `paths.run_dir is the same as paths.lib_dir, but one must be gone at the next boot and the other must not; write two directories`},
		{"paths.lib_dir = \"lib\"", `paths.lib_dir is "lib"; write an absolute path without dots or doubled slashes`},
		{"guards.site_dir = \"/etc/../etc\"", `guards.site_dir is "/etc/../etc"; write an absolute path`},
		{"units.compute_target = \"desktop.target\"", `units.compute_target has desktop.target, which units.desktop_target names as well; give each part a unit of its own`},
		{"vllm.units.compute = [\"audio-priority.service\"]", `vllm.units.compute has audio-priority.service, which units.audio_priority names as well`},
		{"units.protected = [\"vllm*\"]", `units.protected has "vllm*", which forbids to stop vllm@compute.service of vllm.units.compute; drop it, or name another unit there`},
		{"units.own = []", `units.own is empty, so that an isolate might stop the controller itself; write ["modewatch.service", "mode-controller@*.service"]`},
		{"gpus.display = []", `gpus.display is empty, so that nobody could tell whether the display GPU is released`},
		{"guards.audio_idle = { processes = [], nodes = [] }", `guards.audio_idle.processes and guards.audio_idle.nodes are empty, so that nobody could tell whether audio is in use; write at least ["reaper"]`},
		// Names and patterns.
		{"units.desktop_target = \"desktop\"", `units.desktop_target has "desktop", which does not end with .target; write a name such as "NAME.target"`},
		{"vllm.units.compute = [\"vllm@.service\"]", `vllm.units.compute has "vllm@.service", a template without an instance; write a name such as "NAME.service"`},
		{"vllm.units.desktop = [\"a b.service\"]", `vllm.units.desktop has "a b.service", which is no name of a unit`},
		{"units.user_audio = [\"pipewire.target\"]", `units.user_audio has "pipewire.target", which does not end with .service`},
		{"units.prepare.compute = \"hook.sh\"", `units.prepare.compute has "hook.sh", which does not end with .service`},
		{"triggers.idle.deny = [\"keyd[\"]", `triggers.idle.deny has "keyd[", which is no pattern; write a name with *, ? and [a-z] as wildcards`},
		{"units.protected = [\"k3s[\"]", `units.protected has "k3s[", which is no pattern; write a name with *, ? and [a-z] as wildcards`},
		{"gpus.ai = [\"nvidia0\"]", `gpus.ai has "nvidia0", which is no device node; write patterns such as "/dev/dri/card*"`},
		{"gpus.display = [\"/dev/dri/[\"]", `gpus.display has "/dev/dri/[", which is no pattern`},
		{"sessions.compositors = [\"/usr/bin/sway\"]", `sessions.compositors has "/usr/bin/sway", which is no name of an executable; write the name alone`},
		// Addresses.
		{"vllm.url = \"http://10.0.0.1:8000\"", `vllm.url is "http://10.0.0.1:8000", which is not on this host's loopback (section 17); write an address such as "http://127.0.0.1:8000"`},
		{"vllm.url = \"http://example.org\"", `vllm.url is "http://example.org", which is not on this host's loopback`},
		{"vllm.url = \"127.0.0.1:8000\"", `vllm.url is "127.0.0.1:8000", which is no http address`},
		{"vllm.url = \"http://127.0.0.1:8000/v1\"", `vllm.url is "http://127.0.0.1:8000/v1", which says more than the server`},
		{"[vllm.urls]\n\"vllm@computer.service\" = \"http://localhost:1\"", `x.toml:2:1: vllm.urls."vllm@computer.service" is the address of a unit that [vllm.units] does not name; did you mean "vllm@compute.service"?`},
		{"[vllm.urls]\n\"x\" = \"http://localhost:1\"", `vllm.urls.x is the address of a unit that [vllm.units] does not name; name the unit in [vllm.units], or drop this`},
		{"vllm.units.compute = [\"a.service\", \"b.service\"]", `vllm.units.compute gives a.service and b.service the same address http://127.0.0.1:8000; write one for each in [vllm.urls]`},
	}
	for _, r := range rows {
		c, err := Parse("x.toml", []byte(r.in))
		if err == nil {
			t.Errorf("%q was accepted: %+v", r.in, c)
			continue
		}
		told := err.Error()
		if !strings.Contains(told, r.want) || strings.Contains(told, "\n") {
			t.Errorf("%q:\n got %s\nwant %s", r.in, told, r.want)
		}
	}
}

// TestAllFaultsAtOnce: in the order of the file, whatever their kind.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := Parse("c.toml", []byte(`log_level = "loud"
[transitions]
overal = "1h"
studio_to_compute = "direct"
[transitions.deadlines]
start = 90
stop = "0s"
[gpus]
planned = "two"
display = ["card0", "/dev/["]
`))
	want := `c.toml:1:1: log_level is "loud"; write one of "trace", "debug", "info", "warn", "error"
c.toml:3:1: transitions.overal is not a known key; did you mean "overall"?
c.toml:6:1: transitions.deadlines.start is a number, and a duration needs a unit; write "90s"
c.toml:7:1: transitions.deadlines.stop is 0s; write a duration above 0 and up to 24h0m0s
c.toml:9:1: gpus.planned is a string, not a whole number; write a number without a point
c.toml:10:1: gpus.display has "card0", which is no device node; write patterns such as "/dev/dri/card*"`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]size{"0B": 0, "1kB": 1000, "1KiB": 1024, "1.5GiB": 3 << 29, "40 GiB": 40 << 30, "2TB": 2e12, "infinity": infinity} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "12", "GiB", "-1GiB", "NaNGiB", "InfGiB", "1e30TiB", "1 gib", "0x10B "} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	for s, want := range map[size]string{0: "0B", 5 << 20: "5MiB", 2 << 30: "2GiB", 3 << 29: "1.5GiB", 1<<30 + 1: "1073741825B", infinity: "infinity"} {
		if got := s.String(); got != want {
			t.Errorf("%d is written %q, not %q", uint64(s), got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"overall", "deadlines", "studio_to_compute"}
	for word, want := range map[string]string{"overal": "overall", "OVERALL": "overall", "deadline": "deadlines", "studio-to-compute": "studio_to_compute", "xyzzy": "", "": ""} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q is near %q, not %q", word, got, want)
		}
	}
}

// TestDescribe: config-check's summary says what matters most.
func TestDescribe(t *testing.T) {
	text := Describe(Default())
	for _, want := range []string{
		"compute                  compute.target, vllm@compute.service at http://127.0.0.1:8000, ready within 10m\n",
		"desktop                  desktop.target, no AI unit\n",
		"background triggers      off: what they would do is told\n",
		"wishes by file           followed\n",
		"force                    refused\n",
		"an attempt               takes at most 25m\n",
		"memory for compute       2GiB, a soft guard (no model size is set)\n",
		"AI units that are busy   have 5m to end, and are stopped then, for a person's wish\n",
		"budgets in compute       user CPUWeight=100, user IOWeight=100,",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	c, err := Parse("x", []byte(`
force.enabled = true
boot.normalize = false
triggers = { background = true, desired_file = false }
units.session_starters = []
guards.memory_headroom.model = "20GiB"
vllm = { require_ready = false, drain = { on_timeout = "block" } }
transitions.overall = "2h"
slices.desktop.ai.memory_high = "1GiB"
slices.studio-local.ai.memory_high = "512MiB"
slices.compute.ai.memory_high = "infinity"
`))
	if err != nil {
		t.Fatal(err)
	}
	text = Describe(c)
	for _, want := range []string{
		"compute.target, vllm@compute.service at http://127.0.0.1:8000\n", "background triggers      on\n", "told, not followed",
		"bypasses soft guards", "changes nothing", "held back in compute     none\n", "23.0 GiB, a hard guard (a model of 20GiB)", "are not stopped", "takes at most 2h\n",
		"ai MemoryHigh=512MiB", "ai MemoryHigh=infinity",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	c.Policy.Budgets = nil
	if !strings.Contains(Describe(c), "budgets in desktop       left as they are") {
		t.Error("no budgets are not told")
	}
}
