package bus

import (
	_ "embed"

	"github.com/godbus/dbus/v5"
)

// properties is org.freedesktop.DBus.Properties: all values of one answer are of one
// moment. (The library's own emits one signal for each property.)
type properties struct{ c *client }

// Get returns one property.
func (p *properties) Get(face, name string) (dbus.Variant, *dbus.Error) {
	all, err := p.GetAll(face)
	if err != nil {
		return dbus.Variant{}, err
	}
	v, ok := all[name]
	if !ok {
		return v, refusal("org.freedesktop.DBus.Error.UnknownProperty", "there is no property %.64q", name)
	}
	return v, nil
}

// GetAll returns all of them.
func (p *properties) GetAll(face string) (dict, *dbus.Error) {
	if face != Face && face != "" {
		return nil, refusal("org.freedesktop.DBus.Error.UnknownInterface", "there are no properties of %.64q", face)
	}
	p.c.mu.Lock()
	values := p.c.values // it is replaced, never changed
	p.c.mu.Unlock()
	out := make(dict, len(values))
	for name, v := range values {
		out[name] = dbus.MakeVariant(v)
	}
	return out, nil
}

// Set refuses.
func (p *properties) Set(_, name string, _ dbus.Variant) *dbus.Error {
	return refusal("org.freedesktop.DBus.Error.PropertyReadOnly", "%.64q cannot be set", name)
}

// interfaceXML describes the service to whoever asks, and is installed for tools.
//
//go:embed org.modewatch1.xml
var interfaceXML string

// introspection is org.freedesktop.DBus.Introspectable.
type introspection struct{ root bool }

const rootXML = `<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
<node><node name="org"/></node>
`

// Introspect returns the description.
func (i introspection) Introspect() (string, *dbus.Error) {
	if i.root {
		return rootXML, nil
	}
	return interfaceXML, nil
}
