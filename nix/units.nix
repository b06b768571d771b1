# What this host adds to the units of the package, all of it as drop-ins, and what
# "nixos-rebuild switch" may do with them: restart the supervisor, which adopts the
# mode it finds, and nothing that a mode or a session stands on.
{ config, lib, ... }:
let
  cfg = config.services.modewatch;
  derived = import ./derived.nix { inherit lib cfg; };
  ours = lib.filterAttrs (mode: _: derived.unitOf mode == "vllm@${mode}.service") derived.profiles;

  # Left as it runs; a transition starts the new one.
  untouched = {
    restartIfChanged = false;
  };

  # Of a studio that is elsewhere nothing is started here, by hand neither. Not masked:
  # the answer to a wish for studio-local would be to unmask it.
  overlay = lib.optionalAttrs (!derived.studioHere) { unitConfig.RefuseManualStart = true; };

  server = mode: profile: {
    name = "vllm@${mode}";
    value = untouched // {
      overrideStrategy = "asDropin";
      serviceConfig = {
        # The first, empty word drops what the package allows; then the full list.
        DeviceAllow =
          [
            ""
            "/dev/nvidiactl rw"
            "char-nvidia-uvm rw"
            "char-nvidia-caps rw"
          ]
          ++ map (node: "${node} rw") (lib.concatMap derived.nodesOf derived.aiGPUs.${mode});
      }
      // lib.optionalAttrs (profile.memoryMax != null) { MemoryMax = profile.memoryMax; }
      // lib.optionalAttrs (cfg.vllm.apiKeyFile != null) {
        LoadCredential = "vllm-api-key:${cfg.vllm.apiKeyFile}";
      };
    };
  };
in
{
  config = lib.mkIf cfg.enable {
    systemd.packages = [ cfg.package ];
    systemd.tmpfiles.packages = [ cfg.package ];

    systemd.services = {
      # NixOS reads no [Install] section.
      modewatch = {
        wantedBy = [ "multi-user.target" ];
        reloadTriggers = [ cfg.configFile ];
        # One restart, not a stop and a start with a switch in between.
        stopIfChanged = false;
      };
      "mode-controller@" = untouched;
      "vllm@" = untouched;
      studio-local-policy = untouched // overlay;
      audio-priority = untouched // overlay;
    }
    // lib.mapAttrs' server ours;

    systemd.user.services.modewatch-notify = lib.mkIf cfg.notifications.enable {
      wantedBy = [ "graphical-session.target" ];
    };

    systemd.targets = lib.genAttrs [ "desktop" "compute" ] (mode: {
      inherit (cfg.modes.${mode}) wants conflicts;
    });

    # A display manager's own module sets the same option.
    systemd.defaultUnit = lib.mkIf cfg.boot.setDefaultTarget (lib.mkForce "desktop.target");

    # The package has the drop-in that keeps k3s up, in platform.slice.
    services.k3s.extraFlags = lib.mkIf (cfg.k3s.integrate && cfg.k3s.placePods) [
      "--kubelet-arg=cgroup-root=/platform"
    ];

    users.users = lib.mkIf (ours != { }) {
      vllm = {
        isSystemUser = true;
        group = "vllm";
        home = "/var/lib/vllm";
        description = "vLLM inference";
      };
    };
    users.groups.vllm = lib.mkIf (ours != { }) { };
  };
}
