package idle

import (
	"github.com/holoplot/go-evdev"
)

// kind says what a person does with a device; none of these are counted: power
// and sleep buttons, lids and other switches, speakers, hot keys of the firmware,
// accelerometers.
type kind string

const (
	none     kind = ""
	keyboard kind = "keyboard"
	pointer  kind = "pointer" // mouse, trackball, pointing stick
	touch    kind = "touch"   // pad or screen
	tablet   kind = "tablet"  // pen, and the buttons beside it
	gamepad  kind = "gamepad" // joystick, steering wheel, pedals
	keys     kind = "keys"    // remote control, headset, media keys, keypad, knob
)

// spoken are udev's words in the order of their weight. ID_INPUT_KEY says only
// that there are keys; it is judged by which.
var spoken = []struct {
	tag string
	is  kind
}{
	{"KEYBOARD", keyboard}, {"TABLET", tablet}, {"TABLET_PAD", tablet}, {"TOUCHSCREEN", touch}, {"TOUCHPAD", touch},
	{"MOUSE", pointer}, {"POINTINGSTICK", pointer}, {"TRACKBALL", pointer}, {"JOYSTICK", gamepad},
}

// classify goes by udev where it has spoken, else by what the device can do.
func classify(u tags, c caps) kind {
	switch {
	case c.props[evdev.INPUT_PROP_ACCELEROMETER]:
		return none
	case !u.spoken():
		return byCaps(c)
	}
	for _, s := range spoken {
		if u[s.tag] {
			return s.is
		}
	}
	if u["KEY"] {
		return byKeys(c)
	}
	return none
}

func byCaps(c caps) kind {
	switch {
	case c.keys.all(evdev.KEY_Q, evdev.KEY_A, evdev.KEY_Z, evdev.KEY_SPACE):
		return keyboard
	case c.keys.any(evdev.BTN_TOOL_PEN, evdev.BTN_STYLUS):
		return tablet
	case c.keys.any(evdev.BTN_TOUCH, evdev.BTN_TOOL_FINGER):
		return touch
	case c.keys.any(evdev.BTN_LEFT), c.rels.all(evdev.REL_X, evdev.REL_Y):
		return pointer
	case c.keys.within(evdev.BTN_JOYSTICK, evdev.BTN_THUMBR), c.keys.within(evdev.BTN_WHEEL, evdev.BTN_GEAR_UP),
		c.keys.within(evdev.BTN_DPAD_UP, evdev.BTN_DPAD_RIGHT), c.keys.within(evdev.BTN_TRIGGER_HAPPY, evdev.BTN_TRIGGER_HAPPY40):
		return gamepad
	}
	return byKeys(c)
}

// byKeys tells the keys that a hand presses from those that the firmware
// reports: buttons and hot keys of the machine itself are on the bus "host", where
// only an infrared receiver has digits.
func byKeys(c caps) kind {
	if c.bus == evdev.BUS_HOST && !c.keys.any(evdev.KEY_1, evdev.KEY_NUMERIC_1, evdev.KEY_OK) {
		return none
	}
	for code := range c.keys {
		if !firmware[code] {
			return keys
		}
	}
	return none
}

// firmware are the keys of power and sleep buttons and of video buses; a device
// that has no others is not at hand.
var firmware = set(evdev.KEY_POWER, evdev.KEY_POWER2, evdev.KEY_SLEEP, evdev.KEY_WAKEUP, evdev.KEY_SUSPEND, evdev.KEY_RESTART,
	evdev.KEY_BRIGHTNESSUP, evdev.KEY_BRIGHTNESSDOWN, evdev.KEY_BRIGHTNESS_CYCLE, evdev.KEY_BRIGHTNESS_AUTO, evdev.KEY_BRIGHTNESS_MIN,
	evdev.KEY_BRIGHTNESS_MAX, evdev.KEY_SWITCHVIDEOMODE, evdev.KEY_VIDEO_NEXT, evdev.KEY_VIDEO_PREV, evdev.KEY_DISPLAY_OFF,
	evdev.KEY_DISPLAYTOGGLE)

// codes is a set of event codes.
type codes map[evdev.EvCode]bool

func set(list ...evdev.EvCode) codes {
	out := codes{}
	for _, c := range list {
		out[c] = true
	}
	return out
}

func (s codes) any(list ...evdev.EvCode) bool {
	for _, c := range list {
		if s[c] {
			return true
		}
	}
	return false
}

func (s codes) all(list ...evdev.EvCode) bool {
	for _, c := range list {
		if !s[c] {
			return false
		}
	}
	return true
}

func (s codes) within(low, high evdev.EvCode) bool {
	for c := range s {
		if c >= low && c <= high {
			return true
		}
	}
	return false
}
