# The environments of the package's own services: the profiles of the model server,
# and what studio-local does.
{ config, lib, ... }:
let
  cfg = config.services.modewatch;
  derived = import ./derived.nix { inherit lib cfg; };
  inherit (cfg.studio) audioPriority;

  # One variable a line, as systemd's EnvironmentFile= reads it.
  quote = value: "\"${lib.escape [ "\\" "\"" "$" "`" ] (toString value)}\"";
  environment = values: lib.concatStrings (lib.mapAttrsToList (name: value: "${name}=${quote value}\n") values);

  server =
    mode: profile:
    let
      gpus = derived.aiGPUs.${mode};
      uuids = derived.uuidsOf gpus;
    in
    {
      name = "modewatch/vllm/${mode}.env";
      value.text = environment (
        {
          VLLM_MODEL = toString profile.model;
          VLLM_PROGRAM = profile.program;
          VLLM_PORT = profile.port;
          VLLM_ARGS = lib.concatStringsSep " " profile.extraArgs;
        }
        // lib.optionalAttrs (lib.length uuids == lib.length gpus) {
          CUDA_VISIBLE_DEVICES = lib.concatStringsSep "," uuids;
        }
        // profile.environment
      );
    };

  audio =
    lib.optionalAttrs (audioPriority.weights != { }) {
      AUDIO_WEIGHTS = lib.concatStringsSep " " (
        lib.mapAttrsToList (slice: w: "${slice}:${toString w.cpu}:${toString w.io}") audioPriority.weights
      );
    }
    // lib.optionalAttrs (audioPriority.timers != null) {
      # Blank, not empty, for none: empty is the program's own list.
      AUDIO_TIMERS = if audioPriority.timers == [ ] then " " else toString audioPriority.timers;
    }
    // lib.optionalAttrs (audioPriority.governor != null) { AUDIO_GOVERNOR = audioPriority.governor; };
in
{
  config = lib.mkIf cfg.enable {
    environment.etc =
      lib.mapAttrs' server (lib.filterAttrs (mode: _: derived.unitOf mode == "vllm@${mode}.service") derived.profiles)
      // lib.optionalAttrs (derived.studioHere && audio != { }) {
        "modewatch/audio-priority.env".text = environment audio;
      }
      // lib.optionalAttrs (derived.studioHere && cfg.studio.environment != { }) {
        "modewatch/studio-local.env".text = environment cfg.studio.environment;
      };
  };
}
