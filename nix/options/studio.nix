# Where the capabilities live, and what studio-local does.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  here = what: mkOption {
    type = types.enum [ "local-nixos-host" ];
    default = "local-nixos-host";
    description = "Where ${what} lives: on this host.";
  };
in
{
  options.services.modewatch = {
    capabilities = {
      studio.placement = mkOption {
        type = types.enum [ "local" "external-mac-mini" ];
        default = "local";
        description = ''
          Where the studio lives. External, this host refuses studio-local, and the
          start of its units.
        '';
      };
      ai.placement = here "inference";
      platform.placement = here "k3s";
    };
    studio = {
      environment = mkOption {
        type = types.attrsOf types.str;
        default = { };
        example = {
          PIPEWIRE_QUANTUM = "64/48000";
        };
        description = "Variables that {file}`/run/mode-controller/studio-local.env` has besides, while studio-local is in force.";
      };
      audioPriority = {
        weights = mkOption {
          type = types.attrsOf (types.submodule {
            options = {
              cpu = mkOption {
                type = types.ints.between 1 10000;
                description = "The slice's share of CPU time.";
              };
              io = mkOption {
                type = types.ints.between 1 10000;
                description = "The slice's share of disk time.";
              };
            };
          });
          default = { };
          example = {
            "user.slice" = {
              cpu = 1000;
              io = 1000;
            };
          };
          description = "What slices get in studio-local, by name. Empty for the program's own.";
        };
        timers = mkOption {
          type = types.nullOr (types.listOf types.str);
          default = null;
          example = [ "nix-gc.timer" "fstrim.timer" ];
          description = "Timers that are held in studio-local. `null` for a list of those that are known to disturb.";
        };
        governor = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "performance";
          description = "The CPU frequency governor in studio-local. `null` for performance.";
        };
      };
    };
  };
}
