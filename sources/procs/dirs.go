package procs

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/modewatch/modewatch/fsm"
)

// places are patterns of the folders that executables are looked for in. Homes
// are not among them: they may be on a server that does not answer, and nothing
// here has a deadline.
var places = []string{
	"/usr/local/bin", "/usr/bin", "/bin", "/usr/games", "/opt/*", "/opt/*/bin",
	"/run/current-system/sw/bin", "/etc/profiles/per-user/*/bin", "/nix/var/nix/profiles/per-user/*/profile/bin",
}

// Interests tells what a process of each name that policy gives is of interest
// for, by the name of its executable.
func Interests(p fsm.Policy) map[string]fsm.Subject {
	out := map[string]fsm.Subject{}
	for about, names := range map[fsm.Subject][]string{
		fsm.AboutAudio:    p.Audio.Processes,
		fsm.AboutSessions: p.Sessions.Compositors,
		fsm.AboutJobs:     p.Jobs.Processes,
	} {
		for _, name := range names {
			out[name] |= about
		}
	}
	return out
}

// resolved is where the executables of interest really are.
type resolved struct {
	dirs  []string               // real folders that hold one, each once
	names map[string]fsm.Subject // by the file names they go by there
	exes  map[string]fsm.Subject // by the names that were given
	comms map[string]fsm.Subject // by what the kernel may call them
}

// resolve looks for names in the folders of patterns. An executable behind links
// counts where it really is, by its real name too. Nothing is said of names that
// are not there: what is installed later is found when it is resolved again.
func resolve(patterns []string, names map[string]fsm.Subject) resolved {
	out := resolved{names: map[string]fsm.Subject{}, exes: names, comms: map[string]fsm.Subject{}}
	for name, about := range names {
		out.names[name] |= about
		for _, comm := range []string{name, cut(name), cut("." + name + "-wrapped")} {
			out.comms[comm] |= about
		}
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // the patterns are ours
		for _, dir := range found {
			for name, about := range names {
				out.add(filepath.Join(dir, name), about)
			}
		}
	}
	slices.Sort(out.dirs)
	out.dirs = slices.Compact(out.dirs)
	return out
}

func (r *resolved) add(path string, about fsm.Subject) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return // it went away
	}
	r.dirs = append(r.dirs, filepath.Dir(real))
	r.names[filepath.Base(real)] |= about
}

// about tells what an executable of this file name is of interest for, nothing if
// it is not; name is not kept.
func (r resolved) about(name []byte) fsm.Subject {
	about := r.names[string(name)]
	if about == 0 && len(name) > 0 && name[0] == '.' {
		about = r.names[unwrapped(string(name))]
	}
	return about
}

// process tells what a process is of interest for. It knows what proc.known knows,
// at the cost of four look-ups however many the names are.
func (r resolved) process(p proc) fsm.Subject {
	about := r.comms[p.comm] | r.exes[unwrapped(p.comm)]
	if p.exe != "" {
		about |= r.exes[p.exe] | r.exes[unwrapped(p.exe)]
	}
	return about
}
