package lab

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// StartUnit starts a unit and waits for its job; the error has systemctl's words.
func (m *Machine) StartUnit(ctx context.Context, unit string) error {
	return m.systemctl(ctx, "start", unit)
}

// StopUnit stops a unit and waits for its job.
func (m *Machine) StopUnit(ctx context.Context, unit string) error {
	return m.systemctl(ctx, "stop", unit)
}

func (m *Machine) systemctl(ctx context.Context, args ...string) error {
	r, err := m.Run(ctx, append([]string{"systemctl"}, args...)...)
	if err != nil {
		return err
	}
	if r.Code != 0 {
		return fmt.Errorf("cannot %s: %s", strings.Join(args, " "), strings.TrimSpace(r.Stderr))
	}
	return nil
}

// Show returns the named properties of a unit, or all. A property that could not be
// read is absent from the map.
func (m *Machine) Show(ctx context.Context, unit string, properties ...string) map[string]string {
	args := []string{"systemctl", "show", unit}
	if len(properties) > 0 {
		args = append(args, "--property="+strings.Join(properties, ","))
	}
	r, err := m.Run(ctx, args...)
	if err != nil || r.Code != 0 {
		return nil
	}
	return parseProperties(r.Stdout)
}

// ShowAll returns the named properties of each of several units.
func (m *Machine) ShowAll(ctx context.Context, units []string, properties ...string) ([]map[string]string, error) {
	args := append([]string{"systemctl", "show", "--property=" + strings.Join(properties, ","), "--"}, units...)
	r, err := m.Run(ctx, args...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("cannot show the units: %s", r.Stderr)
	}
	return parseBlocks(r.Stdout), err
}

// Active says whether a unit's ActiveState is active.
func (m *Machine) Active(ctx context.Context, unit string) bool {
	return m.Show(ctx, unit, "ActiveState")["ActiveState"] == "active"
}

// Session is one session of logind.
type Session struct {
	ID, User, Class, Type, State, Scope, Service, Seat string
	UID, Leader                                        int
	Active                                             bool
}

// Sessions are logind's sessions of all classes but the user managers' own.
func (m *Machine) Sessions(ctx context.Context) ([]Session, error) {
	// One call for all; one that ends meanwhile makes loginctl fail, so look again.
	ctx, cancel := bounded(ctx)
	defer cancel()
	var r Result
	err := WaitFor(ctx, "the sessions of "+m.Name, func() bool {
		var err error
		r, err = m.Run(ctx, "sh", "-c", `ids=$(loginctl list-sessions --no-legend | awk '{print $1}') || exit
			[ -z "$ids" ] || loginctl show-session $ids`)
		return err == nil && r.Code == 0
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, r.Stderr)
	}
	return parseSessions(r.Stdout)
}

func parseSessions(text string) ([]Session, error) {
	var sessions []Session
	for _, p := range parseBlocks(text) {
		if p["Id"] == "" || strings.HasPrefix(p["Class"], "manager") {
			continue
		}
		uid, err := strconv.Atoi(p["User"])
		if err != nil {
			return nil, fmt.Errorf("cannot read the user of session %s: %w", p["Id"], err)
		}
		leader, err := strconv.Atoi(p["Leader"])
		if err != nil {
			return nil, fmt.Errorf("cannot read the leader of session %s: %w", p["Id"], err)
		}
		sessions = append(sessions, Session{
			ID: p["Id"], User: p["Name"], Class: p["Class"], Type: p["Type"], State: p["State"],
			Scope: p["Scope"], Service: p["Service"], Seat: p["Seat"],
			UID: uid, Leader: leader, Active: p["Active"] == "yes",
		})
	}
	return sessions, nil
}

// parseBlocks parses the properties of several objects, between which is a line
// without text.
func parseBlocks(text string) (out []map[string]string) {
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		out = append(out, parseProperties(block))
	}
	return out
}

func parseProperties(text string) map[string]string {
	properties := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "="); found {
			properties[name] = value
		}
	}
	return properties
}
