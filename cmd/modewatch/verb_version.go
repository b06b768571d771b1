package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/modewatch/modewatch/fsm"
)

// version is set when a release is built.
var version string

// build is the JSON document of version.
type build struct {
	Schema   int    `json:"schema"`
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified"` // the work tree had changes that no commit holds
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func runVersion(e env, _ []string) (int, error) {
	b := buildOf(debug.ReadBuildInfo())
	if e.asJSON {
		return 0, e.printJSON(b)
	}
	commit := cmp.Or(b.Commit, "unknown")
	if b.Modified {
		commit += ", modified"
	}
	e.say("modewatch %s (commit %s, %s, %s, schema %d)", b.Version, commit, b.Go, b.Platform, b.Schema)
	return 0, nil
}

func buildOf(info *debug.BuildInfo, ok bool) build {
	b := build{Schema: fsm.Schema, Version: version, Go: runtime.Version(), Platform: fmt.Sprintf("%s/%s", runtime.GOOS, runtime.GOARCH)}
	if !ok {
		b.Version = cmp.Or(b.Version, "unknown")
		return b
	}
	b.Version = cmp.Or(b.Version, info.Main.Version, "unknown")
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
