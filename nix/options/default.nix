# What has a meaning to NixOS itself. All else is in settings, under the names of
# the configuration file.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  toml = pkgs.formats.toml { };

  mode = name: {
    wants = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "wallpaper-sync.service" ];
      description = ''
        Units that {file}`${name}.target` wants besides. They start with the mode
        and stop when it is left. Not for model servers: those are steps of a
        transition.
      '';
    };
    conflicts = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "backup.timer" ];
      description = "Units that stop when {file}`${name}.target` starts.";
    };
  };
in
{
  imports = [
    ./gpus.nix
    ./vllm.nix
    ./studio.nix
  ];

  options.services.modewatch = {
    enable = lib.mkEnableOption "modewatch, which moves this host safely between desktop, studio-local and compute";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package that has the program and its units.";
    };

    settings = mkOption {
      type = types.submodule {
        freeformType = toml.type;
        options = import ../settings.nix { inherit lib; };
      };
      default = { };
      example = {
        triggers.background = true;
        transitions.studio_to_compute = "via-desktop";
      };
      description = ''
        The configuration file, {file}`/etc/modewatch/config.toml`. Durations are
        written "90s" or "1m30s", sizes "40GiB" or as a number of bytes. The
        program checks the file while the system is built: what it would refuse
        fails the build, with the line and what to write instead.
      '';
    };

    operators = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "alice" ];
      description = "Users who may wish modes: the members of the group modewatch.";
    };

    siteGuards = mkOption {
      type = types.attrsOf types.path;
      default = { };
      example = lib.literalExpression "{ check_backup = ./check-backup; }";
      description = "Executables in {file}`/etc/modewatch/guards.d`, by name. They can only refuse a transition.";
    };

    modes = {
      desktop = mode "desktop";
      compute = mode "compute";
    };

    boot.setDefaultTarget = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the host boots into {file}`desktop.target` by itself, also where
        a display manager asks for another target. Off, the first start of the
        controller starts that target, see
        {option}`services.modewatch.settings.boot.normalize`.
      '';
    };

    k3s = {
      integrate = mkOption {
        type = types.bool;
        default = config.services.k3s.enable;
        defaultText = lib.literalExpression "config.services.k3s.enable";
        description = "Whether k3s lives through every transition, in {file}`platform.slice`.";
      };
      placePods = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether the kubelet puts its pods under {file}`platform.slice` too, by
          `--kubelet-arg=cgroup-root=/platform`; else they are beside it and the
          slice does not bound them. It takes effect when k3s starts.
        '';
      };
    };

    polkit.enable = mkOption {
      type = types.bool;
      default = config.security.polkit.enable;
      defaultText = lib.literalExpression "config.security.polkit.enable";
      description = "Whether operators may start {file}`mode-controller@MODE.service` without a password.";
    };

    notifications.enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether each graphical session is shown transitions, by {file}`modewatch-notify.service` of its user's manager.";
    };

    configFile = mkOption {
      type = types.path;
      readOnly = true;
      description = "The configuration file that was made of the settings, and checked.";
    };
  };
}
