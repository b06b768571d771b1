package config

import "time"

// raw is the configuration as written: one field for each key. What a key means
// is said once, in dist/config.toml.
type raw struct {
	LogLevel    string         `toml:"log_level"`
	Boot        rawBoot        `toml:"boot"`
	Triggers    rawTriggers    `toml:"triggers"`
	Transitions rawTransitions `toml:"transitions"`
	Units       rawUnits       `toml:"units"`
	Sessions    rawSessions    `toml:"sessions"`
	GPUs        rawGPUs        `toml:"gpus"`
	Guards      rawGuards      `toml:"guards"`
	VLLM        rawVLLM        `toml:"vllm"`
	Slices      rawSlices      `toml:"slices"`
	Force       rawForce       `toml:"force"`
	Paths       rawPaths       `toml:"paths"`
	History     rawHistory     `toml:"history"`
}

type rawBoot struct {
	Normalise bool `toml:"normalize"`
}

type rawTriggers struct {
	Background  bool    `toml:"background"`
	DesiredFile bool    `toml:"desired_file"`
	Return      bool    `toml:"return"`
	Drift       bool    `toml:"drift"`
	Retry       bool    `toml:"retry"`
	Idle        rawIdle `toml:"idle"`
}

type rawIdle struct {
	Watch     bool          `toml:"watch"`
	Deny      []string      `toml:"deny"`
	After     time.Duration `toml:"after"`
	Countdown time.Duration `toml:"countdown"`
	OnBlock   string        `toml:"on_block"`
	MaxGPU    int           `toml:"max_gpu"`
	Studio    bool          `toml:"from_studio_local"`
}

type rawTransitions struct {
	StudioToCompute string        `toml:"studio_to_compute"`
	Overall         time.Duration `toml:"overall"`
	Deadlines       rawDeadlines  `toml:"deadlines"`
}

type rawDeadlines struct {
	Start       time.Duration `toml:"start"`
	Stop        time.Duration `toml:"stop"`
	Isolate     time.Duration `toml:"isolate"`
	SessionTerm time.Duration `toml:"session_term"`
	SessionKill time.Duration `toml:"session_kill"`
	GPURelease  time.Duration `toml:"gpu_release"`
	Audio       time.Duration `toml:"audio"`
	Prepare     time.Duration `toml:"prepare"`
	Budgets     time.Duration `toml:"budgets"`
	Observe     time.Duration `toml:"observe"`
}

type rawUnits struct {
	Desktop       string     `toml:"desktop_target"`
	Compute       string     `toml:"compute_target"`
	StudioPolicy  string     `toml:"studio_policy"`
	AudioPriority string     `toml:"audio_priority"`
	Graphical     string     `toml:"graphical_session"`
	Starters      []string   `toml:"session_starters"`
	Own           []string   `toml:"own"`
	Protected     []string   `toml:"protected"`
	Audio         []string   `toml:"user_audio"`
	Switch        []string   `toml:"nixos_switch"`
	Prepare       modesOfOne `toml:"prepare"`
}

type rawSessions struct {
	Compositors []string `toml:"compositors"`
}

type rawGPUs struct {
	Planned int      `toml:"planned"`
	Display []string `toml:"display"`
	AI      []string `toml:"ai"`
	Infra   []string `toml:"infrastructure"`

	NVML        string        `toml:"nvml"`
	NVMLLibrary string        `toml:"nvml_library"`
	NVMLTimeout time.Duration `toml:"nvml_timeout"`
}

type rawGuards struct {
	SiteDir     string        `toml:"site_dir"`
	SiteTimeout time.Duration `toml:"site_timeout"`
	Audio       rawAudioIdle  `toml:"audio_idle"`
	CPULoad     rawCPULoad    `toml:"cpu_load_safe"`
	Jobs        rawUserJobs   `toml:"user_jobs_safe"`
	Memory      rawMemory     `toml:"memory_headroom"`
}

type rawAudioIdle struct {
	Processes  []string      `toml:"processes"`
	Nodes      []string      `toml:"nodes"`
	Ignore     []string      `toml:"ignore"`
	Servers    []string      `toml:"servers"`
	PWDump     string        `toml:"pw_dump"`
	Allow      []string      `toml:"allow"`
	Deny       []string      `toml:"deny"`
	LowLatency time.Duration `toml:"low_latency"`
	Debounce   time.Duration `toml:"debounce"`
}

type rawCPULoad struct {
	MaxPressure float64 `toml:"max_pressure"`
}

type rawUserJobs struct {
	Processes []string `toml:"processes"`
	Allow     []string `toml:"allow"`
	Studio    bool     `toml:"studio"`
}

type rawMemory struct {
	Model size `toml:"model"`
	Floor size `toml:"floor"`
}

type rawVLLM struct {
	Units        modesOfMany       `toml:"units"`
	URL          string            `toml:"url"`
	URLs         map[string]string `toml:"urls"`
	RequireReady bool              `toml:"require_ready"`
	Ready        time.Duration     `toml:"ready"`
	Drain        rawDrain          `toml:"drain"`
}

type rawDrain struct {
	Deadline  time.Duration `toml:"deadline"`
	OnTimeout string        `toml:"on_timeout"`
}

type rawSlices struct {
	Desktop     rawBudgets `toml:"desktop"`
	StudioLocal rawBudgets `toml:"studio-local"`
	Compute     rawBudgets `toml:"compute"`
}

type rawBudgets struct {
	User        rawBudget `toml:"user"`
	Interactive rawBudget `toml:"interactive"`
	AI          rawBudget `toml:"ai"`
	Platform    rawBudget `toml:"platform"`
}

// rawBudget is what one slice gets in one mode; 0 leaves a property as it is.
type rawBudget struct {
	CPUWeight  int  `toml:"cpu_weight"`
	IOWeight   int  `toml:"io_weight"`
	MemoryHigh size `toml:"memory_high"`
	MemoryMax  size `toml:"memory_max"`
}

type rawForce struct {
	Enabled bool `toml:"enabled"`
}

type rawPaths struct {
	Run       string `toml:"run_dir"`
	Lib       string `toml:"lib_dir"`
	Placement string `toml:"placement"`
}

type rawHistory struct {
	Max int `toml:"max"`
}

// modesOfOne and modesOfMany have a name, or names, for each mode.
type modesOfOne struct {
	Desktop     string `toml:"desktop"`
	StudioLocal string `toml:"studio-local"`
	Compute     string `toml:"compute"`
}

type modesOfMany struct {
	Desktop     []string `toml:"desktop"`
	StudioLocal []string `toml:"studio-local"`
	Compute     []string `toml:"compute"`
}
