/*
 * A stand-in for libnvidia-ml.so.1: the entry points that modewatch-gpu calls, by
 * the types of NVML's own header. What it says it reads at each call from a text
 * file beside the library, LIBRARY.state, of lines such as
 *
 *   driver 580.95.05
 *   gpu 0 minor=0 uuid=GPU-a bus=0000:01:00.0 total=100 used=40 load=7 display=1 name=Some GPU
 *   proc 0 graphics 812 4096     a process on GPU 0, told for as long as it lives
 *   ghost 0 compute 812 4096     one that is told whether it lives or not
 *   init 18                      nvmlInit fails by this code
 *   lost 0                       GPU 0 has fallen off the bus
 *   unsupported mps              lists of this kind are not supported
 *   delay_ms 50                  each list takes so long
 *   hang                         the lists never come; LIBRARY.hanging, if there is such
 *                                a file or pipe, is held open for writing meanwhile
 *
 * Without the file no driver is loaded. WITHOUT_COMPUTE leaves out the function
 * that lists compute processes, as a library that is too old does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nvml.h"

enum { GPUS = 8, PROCESSES = 256 };

struct gpu {
	int there, lost;
	unsigned minor, load, display, domain, bus, device;
	unsigned long long total, used;
	char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE], name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
};

struct process {
	int gpu, always;
	unsigned pid;
	unsigned long long memory;
	char kind[16];
};

static struct {
	int init, hang, opened;
	unsigned delay_ms, gpus, processes;
	char driver[80], unsupported[16];
	struct gpu gpu[GPUS];
	struct process process[PROCESSES];
} now;

static void line(const char *l)
{
	int i;
	struct gpu g = {.there = 1};
	struct process p = {0};
	char bus[32];

	if (sscanf(l, "driver %79s", now.driver) == 1 || sscanf(l, "init %d", &now.init) == 1 ||
	    sscanf(l, "delay_ms %u", &now.delay_ms) == 1 || sscanf(l, "unsupported %15s", now.unsupported) == 1)
		return;
	if (strncmp(l, "hang", 4) == 0)
		now.hang = 1;
	if (sscanf(l, "lost %d", &i) == 1 && i >= 0 && i < GPUS)
		now.gpu[i].lost = 1;
	if (sscanf(l, "gpu %d minor=%u uuid=%95s bus=%31s total=%llu used=%llu load=%u display=%u name=%95[^\n]", &i, &g.minor,
		   g.uuid, bus, &g.total, &g.used, &g.load, &g.display, g.name) == 9 &&
	    i == (int)now.gpus && i < GPUS && sscanf(bus, "%x:%x:%x", &g.domain, &g.bus, &g.device) == 3) {
		g.lost = now.gpu[i].lost;
		now.gpu[i] = g;
		now.gpus++;
	}
	if (now.processes == PROCESSES)
		return;
	p.always = strncmp(l, "ghost", 5) == 0;
	if (sscanf(l, p.always ? "ghost %d %15s %u %llu" : "proc %d %15s %u %llu", &p.gpu, p.kind, &p.pid, &p.memory) == 4)
		now.process[now.processes++] = p;
}

static void look(void)
{
	int opened = now.opened;
	char path[4096], l[512];
	Dl_info self;
	FILE *f;

	memset(&now, 0, sizeof now);
	now.opened = opened;
	strcpy(now.driver, "none");
	now.init = NVML_ERROR_DRIVER_NOT_LOADED;
	if (!dladdr((void *)look, &self))
		return;
	snprintf(path, sizeof path, "%s.state", self.dli_fname);
	f = fopen(path, "re");
	if (!f)
		return;
	now.init = NVML_SUCCESS;
	while (fgets(l, sizeof l, f))
		line(l);
	fclose(f);
}

/* find returns the GPU of a handle that still answers. */
static nvmlReturn_t find(nvmlDevice_t d, struct gpu **g)
{
	unsigned long i = (unsigned long)d.handle;

	if (!now.opened)
		return NVML_ERROR_UNINITIALIZED;
	look();
	if (i < 1 || i > now.gpus)
		return NVML_ERROR_INVALID_ARGUMENT;
	*g = &now.gpu[i - 1];
	return (*g)->lost ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
}

#define ASK(d) \
	struct gpu *g; \
	nvmlReturn_t r = find(d, &g); \
	if (r != NVML_SUCCESS) \
		return r

nvmlReturn_t nvmlInit_v2(void)
{
	look();
	now.opened++; /* one that failed counts as well */
	return now.init;
}

nvmlReturn_t nvmlShutdown(void)
{
	if (!now.opened)
		return NVML_ERROR_UNINITIALIZED;
	now.opened--;
	return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t r)
{
	switch (r) {
	case NVML_ERROR_DRIVER_NOT_LOADED:
		return "Driver Not Loaded";
	case NVML_ERROR_LIB_RM_VERSION_MISMATCH:
		return "Driver/library version mismatch";
	case NVML_ERROR_GPU_IS_LOST:
		return "GPU is lost";
	default:
		return "Unknown Error";
	}
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned n)
{
	look();
	snprintf(version, n, "%s", now.driver);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *n)
{
	look();
	*n = now.gpus;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned i, nvmlDevice_t *d)
{
	nvmlDevice_t it = {(void *)(i + 1UL)};
	ASK(it);
	*d = it;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t d, char *uuid, unsigned n)
{
	ASK(d);
	snprintf(uuid, n, "%s", g->uuid);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t d, char *name, unsigned n)
{
	ASK(d);
	snprintf(name, n, "%s", g->name);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t d, unsigned *minor)
{
	ASK(d);
	*minor = g->minor;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *pci)
{
	ASK(d);
	memset(pci, 0, sizeof *pci);
	pci->domain = g->domain;
	pci->bus = g->bus;
	pci->device = g->device;
	snprintf(pci->busId, sizeof pci->busId, "%08X:%02X:%02X.0", g->domain, g->bus, g->device);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *m)
{
	ASK(d);
	*m = (nvmlMemory_t){.total = g->total, .used = g->used, .free = g->total - g->used};
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *u)
{
	ASK(d);
	*u = (nvmlUtilization_t){.gpu = g->load};
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetDisplayActive(nvmlDevice_t d, nvmlEnableState_t *s)
{
	ASK(d);
	*s = g->display ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
	return NVML_SUCCESS;
}

static void hang(void)
{
	char path[4096];
	Dl_info self;

	if (dladdr((void *)look, &self)) {
		snprintf(path, sizeof path, "%s.hanging", self.dli_fname);
		open(path, O_WRONLY | O_CLOEXEC);
	}
	for (;;)
		pause();
}

static int alive(unsigned pid)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/%u", pid);
	return access(path, F_OK) == 0;
}

static nvmlReturn_t list(nvmlDevice_t d, const char *kind, unsigned *n, nvmlProcessInfo_t *out)
{
	unsigned found = 0, room = *n;
	ASK(d);

	if (now.hang)
		hang();
	usleep(now.delay_ms * 1000);
	if (strcmp(now.unsupported, kind) == 0)
		return NVML_ERROR_NOT_SUPPORTED;
	for (unsigned i = 0; i < now.processes; i++) {
		struct process *p = &now.process[i];
		if (p->gpu != g - now.gpu || strcmp(p->kind, kind) != 0 || !(p->always || alive(p->pid)))
			continue;
		if (found < room)
			out[found] = (nvmlProcessInfo_t){.pid = p->pid, .usedGpuMemory = p->memory, .gpuInstanceId = ~0U, .computeInstanceId = ~0U};
		found++;
	}
	*n = found;
	return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t d, unsigned *n, nvmlProcessInfo_t *out)
{
	return list(d, "graphics", n, out);
}

#ifndef WITHOUT_COMPUTE
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned *n, nvmlProcessInfo_t *out)
{
	return list(d, "compute", n, out);
}
#endif

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t d, unsigned *n, nvmlProcessInfo_t *out)
{
	return list(d, "mps", n, out);
}
