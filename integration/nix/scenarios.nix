# Configurations of a host: first such as work, then such as must be refused. What is
# said of each is in the tests.
let
  # A model server that the lab has a stand-in for.
  server = {
    model = "stand-in";
    program = "/usr/local/bin/vllm-program";
  };
  # Deadlines that suit a test, on a machine that others share.
  quick = {
    transitions.deadlines = {
      session_term = "3s";
      session_kill = "5s";
      gpu_release = "15s";
      start = "15s";
      stop = "15s";
      isolate = "20s";
    };
    vllm.ready = "20s";
    vllm.drain.deadline = "5s";
    guards.cpu_load_safe.max_pressure = 100;
    guards.audio_idle.debounce = "100ms";
    guards.user_jobs_safe.allow = [ "lab-sway@alice.service" "lab-tty@alice.service" ];
  };
  serving = extra: {
    services.modewatch = {
      settings = quick;
      operators = [ "bob" ];
      vllm.enable = true;
      vllm.profiles.compute = server;
    }
    // extra;
  };
  only = extra: { services.modewatch = extra; };
in
{
  off.services.modewatch.enable = false;
  default = { };

  # These four are in testdata, and are booted.
  single = serving { gpus = { planned = 1; present = [ 0 ]; ai.desktop = [ ]; ai.compute = [ 0 ]; }; };
  dual = serving {
    gpus = {
      present = [ 0 1 ];
      uuids."0" = "GPU-11111111-2222-3333-4444-555555555555";
      uuids."1" = "GPU-66666666-7777-8888-9999-000000000000";
    };
    modes.desktop.wants = [ "lab-extra.service" ];
    studio.environment.PIPEWIRE_QUANTUM = "64/48000";
    studio.audioPriority.timers = [ ];
  };
  external = serving { capabilities.studio.placement = "external-mac-mini"; };
  cluster = {
    imports = [
      (serving {
        settings = quick // { transitions = quick.transitions // { studio_to_compute = "via-desktop"; }; };
        boot.setDefaultTarget = true;
      })
    ];
    services.k3s.enable = true;
    services.greetd.enable = true;
    systemd.defaultUnit = "graphical.target";
  };

  lacking = serving { gpus.present = [ 0 ]; vllm.enable = true; vllm.profiles.compute = server; vllm.profiles.desktop = server // { enable = true; }; };
  gate = only { settings.triggers = { background = true; return = true; idle.after = "1h"; }; };
  desk-server = serving {
    gpus.present = [ 0 1 ];
    vllm.enable = true;
    vllm.profiles.compute = server;
    vllm.profiles.desktop = server // { enable = true; memoryMax = "16G"; extraArgs = [ "--gpu-memory-utilization" "0.50" ]; };
    vllm.apiKeyFile = "/run/secrets/vllm";
  };
  own-unit = {
    services.modewatch.vllm = { enable = true; unit = "inference.service"; };
    systemd.services.inference.serviceConfig.ExecStart = "/usr/local/bin/vllm-program";
  };
  autologin.services.getty.autologinUser = "alice";
  external-with-studio = only { capabilities.studio.placement = "external-mac-mini"; studio.environment.A = "b"; };
  return-in-vain = only { settings.triggers.return = true; };
  no-polkit.security.polkit.enable = false;

  # The hosts of the tree: what they say to others than modewatch is passed over.
  example = {
    imports = [ ../../nix/example/host.nix ];
    _module.check = false;
  };
  virtual = {
    imports = [ (import ../../nix/tests/common.nix { self.nixosModules.default = { }; }) ];
    _module.check = false;
  };

  bad-display-computes = only { gpus.present = [ 0 1 ]; gpus.ai.desktop = [ 0 ]; };
  bad-more-than-planned = only { gpus.ai.compute = [ 0 1 2 ]; };
  bad-present-not-planned = only { gpus.planned = 1; gpus.present = [ 0 1 ]; gpus.ai.desktop = [ ]; gpus.ai.compute = [ 0 ]; };
  bad-display-absent = only { gpus.present = [ 0 ]; gpus.display = 1; gpus.ai.desktop = [ ]; };
  bad-wildcard = only { gpus.nodes."0" = [ "/dev/nvidia*" ]; };
  bad-no-model = only { vllm.enable = true; };
  bad-one-unit-two-profiles = only { vllm = { enable = true; unit = "vllm.service"; profiles.desktop = server // { enable = true; }; }; };
  bad-wanted-by = {
    imports = [ (serving { }) ];
    systemd.services."vllm@compute".wantedBy = [ "multi-user.target" ];
  };
  bad-target-wants-server = serving { modes.compute.wants = [ "vllm@compute.service" ]; };
  bad-k3s-absent = only { k3s.integrate = true; };
  bad-k3s-unprotected = {
    services.k3s.enable = true;
    services.modewatch.settings.units.protected = [ "dbus.service" ];
  };
  bad-polkit-absent = {
    security.polkit.enable = false;
    services.modewatch.polkit.enable = true;
  };
  bad-too-long = only { settings.transitions.overall = "40m"; };
  bad-idle-from-external = only { capabilities.studio.placement = "external-mac-mini"; settings.triggers.idle.from_studio_local = true; };
  bad-run-dir = only { settings.paths.run_dir = "/run/elsewhere"; };
  bad-secret-in-store = only { vllm.apiKeyFile = "/nix/store/00000000000000000000000000000000-key"; };
  bad-blank-in-args = only { vllm.profiles.compute.extraArgs = [ "--tensor-parallel-size 2" ]; };
}
