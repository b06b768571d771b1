//go:build cgo

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/dl"
	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/modewatch/modewatch/sources/gpu/report"
)

// places is where NVML is looked for: where the loader finds it, and where NixOS
// has the driver's libraries.
var places = []string{"libnvidia-ml.so.1", "/run/opengl-driver/lib/libnvidia-ml.so.1"}

// needed are the functions that are called; of several names one will do. They
// are looked up first, for a call of one that is not there ends the process.
var needed = [][]string{
	{"nvmlInit_v2"}, {"nvmlShutdown"}, {"nvmlErrorString"}, {"nvmlSystemGetDriverVersion"},
	{"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"},
	{"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"},
	{"nvmlDeviceGetUUID"}, {"nvmlDeviceGetMinorNumber"}, {"nvmlDeviceGetName"},
	{"nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2", "nvmlDeviceGetPciInfo"},
	{"nvmlDeviceGetMemoryInfo"}, {"nvmlDeviceGetUtilizationRates"}, {"nvmlDeviceGetDisplayActive"},
	versions("nvmlDeviceGetGraphicsRunningProcesses"), versions("nvmlDeviceGetComputeRunningProcesses"),
	versions("nvmlDeviceGetMPSComputeRunningProcesses"),
}

func versions(name string) []string { return []string{name + "_v3", name + "_v2", name} }

// library is NVML, loaded and initialised.
type library struct {
	nvml.Interface
	path string
}

// open loads the first library that is there and initialises it. A library that
// is there but of no use is a failure: another one would be of another driver.
func open(paths []string) (*library, *report.Failure) {
	var missing []string
	for _, path := range paths {
		handle := dl.New(path, dl.RTLD_LAZY|dl.RTLD_GLOBAL)
		if err := handle.Open(); err != nil {
			if absent(path, err) {
				missing = append(missing, path)
				continue
			}
			return nil, &report.Failure{Cause: report.LibraryUnusable, Call: path, Text: err.Error()}
		}
		if name := lacks(handle); name != "" {
			return nil, &report.Failure{Cause: report.SymbolMissing, Call: name, Text: fmt.Sprintf("%s has no %s", path, name)}
		}
		return initialise(path)
	}
	return nil, &report.Failure{Cause: report.LibraryMissing, Call: missing[0], Text: "there is no " + strings.Join(missing, ", nor ")}
}

// absent tells a library that is not there from one that cannot be loaded, such
// as one of another architecture or one that lacks a library of its own.
func absent(path string, err error) bool {
	if filepath.IsAbs(path) {
		_, err := os.Stat(path)
		return errors.Is(err, fs.ErrNotExist)
	}
	return strings.HasPrefix(err.Error(), path+": cannot open shared object file: No such file")
}

// lacks returns the first function that the library does not have, "" for none.
func lacks(handle *dl.DynamicLibrary) string {
	for _, names := range needed {
		found := false
		for _, name := range names {
			found = found || handle.Lookup(name) == nil
		}
		if !found {
			return names[0]
		}
	}
	return ""
}

func initialise(path string) (*library, *report.Failure) {
	l := &library{nvml.New(nvml.WithLibraryPath(path)), path}
	if ret := l.Init(); ret != nvml.SUCCESS {
		f := failed("nvmlInit_v2", ret)
		// Shut down although nothing came up: the library counts the attempt.
		_ = l.Shutdown()
		return nil, f
	}
	return l, nil
}

// close lets the GPUs go. A failure is told: the GPUs might be kept awake.
func (l *library) close() *report.Failure {
	if ret := l.Shutdown(); ret != nvml.SUCCESS {
		return failed("nvmlShutdown", ret)
	}
	return nil
}

var causes = map[nvml.Return]report.Cause{
	nvml.ERROR_DRIVER_NOT_LOADED:       report.DriverNotLoaded,
	nvml.ERROR_LIB_RM_VERSION_MISMATCH: report.Mismatch,
	nvml.ERROR_LIBRARY_NOT_FOUND:       report.LibraryMissing,
	nvml.ERROR_FUNCTION_NOT_FOUND:      report.SymbolMissing,
	nvml.ERROR_NO_PERMISSION:           report.NoPermission,
	nvml.ERROR_GPU_IS_LOST:             report.GPULost,
	nvml.ERROR_RESET_REQUIRED:          report.ResetRequired,
}

// failed describes a call that did not succeed.
func failed(call string, ret nvml.Return) *report.Failure {
	cause, known := causes[ret]
	if !known {
		cause = report.Other
	}
	return &report.Failure{Cause: cause, Call: call, Code: int(ret), Text: ret.Error()}
}
