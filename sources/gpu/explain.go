package gpu

import (
	"fmt"

	"github.com/modewatch/modewatch/sources/gpu/report"
)

// advice is what somebody can do about a failure.
var advice = map[report.Cause]string{
	report.LibraryMissing:  `install the driver's libraries, name it by gpus.nvml_library, or set gpus.nvml = "off"`,
	report.LibraryUnusable: "install the library of this system's driver, or name it by gpus.nvml_library",
	report.SymbolMissing:   `the library is too old for modewatch: update the driver, or set gpus.nvml = "off"`,
	report.DriverNotLoaded: `load the kernel module nvidia (see dmesg), or set gpus.nvml = "off"`,
	report.Mismatch:        "the driver was updated while it ran: reboot",
	report.NoPermission:    "it has to run as root, and may not be kept from /dev/nvidia*",
	report.GPULost:         "the GPU has fallen off the bus (see dmesg): reboot",
	report.ResetRequired:   "reset the GPU, or reboot",
	report.Other:           "see dmesg",
}

// explain is the error that a failure is told by.
func explain(f report.Failure) error {
	text := "cannot ask NVML"
	if f.GPU != "" {
		text += " about GPU " + f.GPU
	}
	text += ": " + f.Text
	if f.Code != 0 {
		text += fmt.Sprintf(" (%d of %s)", f.Code, f.Call)
	}
	todo, known := advice[f.Cause]
	if !known {
		todo = advice[report.Other]
	}
	return fmt.Errorf("%s: %s", text, todo)
}
