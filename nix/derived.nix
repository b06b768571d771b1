# What follows from the options: which GPUs are in use, which servers run. Pure.
{ lib, cfg }:
let
  inherit (lib) concatMap filter genAttrs intersectLists;
  inherit (cfg) gpus vllm;
in
rec {
  modes = [ "desktop" "studio-local" "compute" ];

  # The GPUs that count as there. What is planned but missing has no node, which
  # the units pass over.
  present = if gpus.present == null then lib.range 0 (gpus.planned - 1) else gpus.present;
  aiGPUs = genAttrs modes (mode: intersectLists gpus.ai.${mode} present);

  nodesOf = gpu: gpus.nodes.${toString gpu} or [ "/dev/nvidia${toString gpu}" ];

  # A compositor may be on any card, unless somebody says which one has the display.
  displayNodes =
    lib.optionals (!(gpus.nodes ? ${toString gpus.display})) [ "/dev/dri/card*" "/dev/dri/renderD*" ]
    ++ nodesOf gpus.display;
  aiNodes = lib.unique (concatMap nodesOf (concatMap (mode: aiGPUs.${mode}) modes));

  uuidsOf = list: map (gpu: gpus.uuids.${toString gpu}) (filter (gpu: gpus.uuids ? ${toString gpu}) list);

  # The profiles that run: what is enabled and has a GPU.
  profiles = lib.filterAttrs (mode: profile: profile.enable && aiGPUs.${mode} != [ ]) vllm.profiles;
  ownUnit = vllm.unit != null;
  unitOf = mode: if ownUnit && mode == "compute" then vllm.unit else "vllm@${mode}.service";
  aiUnits = genAttrs modes (mode: lib.optional (profiles ? ${mode}) (unitOf mode));

  studioHere = cfg.capabilities.studio.placement == "local";

  # Seconds of "90s", "25m", "1h30m", "30min"; null where it is something else.
  seconds =
    text:
    let
      parts = builtins.match "(([0-9]+)h)?(([0-9]+)m(in)?)?(([0-9]+)s)?" (toString text);
      part = i: if builtins.elemAt parts i == null then 0 else lib.toIntBase10 (builtins.elemAt parts i);
    in
    if parts == null then null else part 1 * 3600 + part 3 * 60 + part 6;
}
