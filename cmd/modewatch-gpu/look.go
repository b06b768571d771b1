//go:build cgo

package main

import (
	"fmt"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/modewatch/modewatch/sources/gpu/report"
)

// look asks for everything.
func (l *library) look() (report.Document, *report.Failure) {
	var doc report.Document
	var ret nvml.Return
	if doc.Driver, ret = l.SystemGetDriverVersion(); ret != nvml.SUCCESS {
		return doc, failed("nvmlSystemGetDriverVersion", ret)
	}
	n, ret := l.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return doc, failed("nvmlDeviceGetCount", ret)
	}
	for i := range n {
		g, failure := l.gpu(i)
		if failure != nil {
			failure.GPU = name(g)
			return doc, failure
		}
		doc.GPUs = append(doc.GPUs, g)
	}
	return doc, nil
}

// name is how a GPU is told to a person, by the best that is known of it.
func name(g report.GPU) string {
	if g.PCI != "" {
		return g.PCI
	}
	return fmt.Sprintf("number %d of NVML", g.Index)
}

// gpu asks one GPU. A GPU that does not answer spoils the whole: its processes
// would seem to be none.
func (l *library) gpu(i int) (report.GPU, *report.Failure) {
	g := report.GPU{Index: i, Processes: []report.Process{}}
	d, ret := l.DeviceGetHandleByIndex(i)
	if ret != nvml.SUCCESS {
		return g, failed("nvmlDeviceGetHandleByIndex", ret)
	}
	pci, ret := d.GetPciInfo()
	if ret != nvml.SUCCESS {
		return g, failed("nvmlDeviceGetPciInfo", ret)
	}
	g.PCI = address(pci)
	if g.UUID, ret = d.GetUUID(); ret != nvml.SUCCESS {
		return g, failed("nvmlDeviceGetUUID", ret)
	}
	if g.Minor, ret = d.GetMinorNumber(); ret != nvml.SUCCESS {
		return g, failed("nvmlDeviceGetMinorNumber", ret)
	}
	if f := figures(d, &g); f != nil {
		return g, f
	}
	return g, processes(d, &g)
}

// address is the PCI address as sysfs writes it.
func address(pci nvml.PciInfo) string {
	return fmt.Sprintf("%04x:%02x:%02x.0", pci.Domain, pci.Bus, pci.Device)
}

// figures asks for what only people read. What a GPU does not support stays zero.
func figures(d nvml.Device, g *report.GPU) *report.Failure {
	name, ret := d.GetName()
	if f := unless("nvmlDeviceGetName", ret); f != nil {
		return f
	}
	g.Name = strings.TrimSpace(name)
	memory, ret := d.GetMemoryInfo()
	if f := unless("nvmlDeviceGetMemoryInfo", ret); f != nil {
		return f
	}
	g.MemoryTotal, g.MemoryUsed = memory.Total, memory.Used
	load, ret := d.GetUtilizationRates()
	if f := unless("nvmlDeviceGetUtilizationRates", ret); f != nil {
		return f
	}
	g.Utilization = int(load.Gpu)
	display, ret := d.GetDisplayActive()
	g.Display = display == nvml.FEATURE_ENABLED
	return unless("nvmlDeviceGetDisplayActive", ret)
}

// unless is the failure of a call, if it is one: not every GPU supports all, and
// some numbers are not there right after a GPU wakes.
func unless(call string, ret nvml.Return) *report.Failure {
	switch ret {
	case nvml.SUCCESS, nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_NO_DATA, nvml.ERROR_NOT_READY:
		return nil
	}
	return failed(call, ret)
}

// processes asks for the processes of each kind.
func processes(d nvml.Device, g *report.GPU) *report.Failure {
	for _, list := range []struct {
		kind report.Kind
		call string
		ask  func() ([]nvml.ProcessInfo, nvml.Return)
	}{
		{report.Graphics, "nvmlDeviceGetGraphicsRunningProcesses", d.GetGraphicsRunningProcesses},
		{report.Compute, "nvmlDeviceGetComputeRunningProcesses", d.GetComputeRunningProcesses},
		{report.MPS, "nvmlDeviceGetMPSComputeRunningProcesses", d.GetMPSComputeRunningProcesses},
	} {
		found, ret := list.ask()
		if ret == nvml.ERROR_NOT_SUPPORTED {
			g.Unlisted = append(g.Unlisted, list.kind)
			continue
		}
		if ret != nvml.SUCCESS {
			return failed(list.call, ret)
		}
		for _, p := range found {
			g.Processes = append(g.Processes, report.Process{PID: int(p.Pid), Kind: list.kind, Memory: known(p.UsedGpuMemory)})
		}
	}
	return nil
}

// known is a size, 0 where NVML says that it does not know it.
func known(size uint64) uint64 {
	if size == 1<<64-1 { // NVML_VALUE_NOT_AVAILABLE
		return 0
	}
	return size
}
