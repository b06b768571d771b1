# modewatch on NixOS. The units, targets and slices come from the package, the same
# as everywhere; here is only what this host decides: the configuration, where its
# GPUs and capabilities are, and what a switch may restart.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.modewatch;
  derived = import ./derived.nix { inherit lib cfg; };
  judged = import ./assertions.nix {
    inherit
      config
      lib
      cfg
      derived
      ;
  };
  json = value: { text = builtins.toJSON value + "\n"; };

  written = (pkgs.formats.toml { }).generate "modewatch.toml" cfg.settings;

  # The program judges its own configuration, where it can run.
  checked =
    if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then
      pkgs.runCommand "modewatch-checked.toml" { } ''
        ${lib.getExe cfg.package} config-check ${written}
        cp ${written} $out
      ''
    else
      written;
in
{
  imports = [
    ./options
    ./artefacts.nix
    ./units.nix
  ];

  config = lib.mkIf cfg.enable {
    inherit (judged) assertions warnings;

    services.modewatch.configFile = checked;

    services.modewatch.settings = {
      gpus = {
        inherit (cfg.gpus) planned;
        display = derived.displayNodes;
        ai = derived.aiNodes;
      };
      vllm = {
        units = derived.aiUnits;
        urls = lib.mapAttrs' (mode: profile: {
          name = derived.unitOf mode;
          value = "http://127.0.0.1:${toString profile.port}";
        }) derived.profiles;
      };
      guards.audio_idle.pw_dump = lib.mkDefault "${lib.getBin pkgs.pipewire}/bin/pw-dump";
      # By its own name: greetd's alias for a display manager came late. A tty that
      # logs in by itself starts sessions again, as they do.
      units.session_starters = lib.mkDefault (
        [ (if config.services.greetd.enable then "greetd.service" else "display-manager.service") ]
        ++ lib.optional (config.services.getty.autologinUser != null) "getty@tty1.service"
      );
    };

    environment.systemPackages = [ cfg.package ];

    # org.modewatch1 on the system bus. What polkit has to know of it is found in
    # share/polkit-1 of the system's packages.
    services.dbus.packages = [ cfg.package ];

    environment.etc = {
      "modewatch/config.toml".source = cfg.configFile;

      # /run/mode-controller has a link to it (section 19.7).
      "modewatch/capability-placement.json" = json {
        schema = 1;
        studio = cfg.capabilities.studio.placement;
        ai = cfg.capabilities.ai.placement;
        platform = cfg.capabilities.platform.placement;
      };

      # What is declared. What is there is seen by the controller, which writes the
      # file of the same name in /run/mode-controller.
      "modewatch/hardware-topology.json" = json {
        schema = 1;
        inherit (cfg.gpus)
          planned
          present
          display
          ai
          uuids
          ;
      };
    }
    // lib.mapAttrs' (name: source: {
      name = "modewatch/guards.d/${name}";
      value = { inherit source; };
    }) cfg.siteGuards;

    users.groups.modewatch.members = cfg.operators;

    security.polkit.extraConfig = lib.mkIf cfg.polkit.enable ''
      // Operators may wish a mode by its unit: start it, and no more.
      polkit.addRule(function (action, subject) {
        if (action.id == "org.freedesktop.systemd1.manage-units" &&
            action.lookup("verb") == "start" &&
            /^mode-controller@(desktop|studio-local|compute)\.service$/.test(action.lookup("unit")) &&
            subject.isInGroup("modewatch")) {
          return polkit.Result.YES;
        }
      });
    '';
  };
}
