# What cannot be, and what is suspicious. Each sentence names the options that
# contradict each other, and says what to write.
{ config, lib, cfg, derived }:
let
  inherit (cfg) gpus vllm;
  o = name: "`services.modewatch.${name}`";
  words = list: lib.concatMapStringsSep ", " toString list;
  refuse = bad: message: {
    assertion = !bad;
    inherit message;
  };

  display = mode: refuse (lib.elem gpus.display gpus.ai.${mode})
    "${o "gpus.ai.${mode}"} has GPU ${toString gpus.display}, which ${o "gpus.display"} says is the display's: name another GPU, or none.";
  planned = name: list: refuse (lib.any (gpu: gpu >= gpus.planned) list)
    "${o name} is [ ${words list} ], but ${o "gpus.planned"} is ${toString gpus.planned}, and GPUs are counted from 0: plan more, or name less.";
  model = mode: refuse (derived.profiles ? ${mode} && derived.unitOf mode == "vllm@${mode}.service" && vllm.profiles.${mode}.model == null)
    "${o "vllm.profiles.${mode}.enable"} is on, but ${o "vllm.profiles.${mode}.model"} is not set: name the directory of the model.";
  blanks = mode: refuse (lib.any (word: builtins.match "[^ \t\n\"'\\$]+" word == null) vllm.profiles.${mode}.extraArgs)
    "${o "vllm.profiles.${mode}.extraArgs"} has a word with a blank or a quote: each is one plain word.";

  aiUnits = lib.unique (lib.concatLists (lib.attrValues derived.aiUnits));
  service = unit: config.systemd.services.${lib.removeSuffix ".service" unit} or { };
  wanted = lib.filter (unit: (service unit).wantedBy or [ ] != [ ] || (service unit).requiredBy or [ ] != [ ]) aiUnits;
  wants = mode: lib.intersectLists cfg.modes.${mode}.wants aiUnits;
  served = mode: refuse (wants mode != [ ])
    "${o "modes.${mode}.wants"} has ${words (wants mode)}, which ${o "vllm"} makes a step of the transition: a target would start it before the GPU is released.";

  limit = config.systemd.services."mode-controller@".serviceConfig.TimeoutStartSec or "30min";
  overall = cfg.settings.transitions.overall;
  long = derived.seconds overall != null && derived.seconds limit != null && derived.seconds overall >= derived.seconds limit;
in
{
  assertions = [
    (display "desktop")
    (display "studio-local")
    (planned "gpus.ai.desktop" gpus.ai.desktop)
    (planned "gpus.ai.studio-local" gpus.ai.studio-local)
    (planned "gpus.ai.compute" gpus.ai.compute)
    (planned "gpus.present" (lib.optionals (gpus.present != null) gpus.present))
    (refuse (!lib.elem gpus.display derived.present)
      "${o "gpus.display"} is GPU ${toString gpus.display}, which ${o "gpus.present"} does not have: the display needs a GPU that is there.")
    (refuse (lib.any (lib.hasInfix "*") (lib.concatLists (lib.attrValues gpus.nodes)))
      "${o "gpus.nodes"} has a wildcard, which the `DeviceAllow=` of a server in ${o "vllm.profiles"} cannot have: name each node.")
    (model "compute")
    (model "desktop")
    (blanks "compute")
    (blanks "desktop")
    (refuse (vllm.unit != null && vllm.profiles.desktop.enable)
      "${o "vllm.unit"} is ${toString vllm.unit}, but ${o "vllm.profiles.desktop.enable"} is on: one unit cannot have two profiles; use the template, by leaving `unit` at null.")
    (refuse (vllm.apiKeyFile != null && lib.hasPrefix builtins.storeDir vllm.apiKeyFile)
      "${o "vllm.apiKeyFile"} is in ${builtins.storeDir}, which everyone can read: name a file outside of it.")
    (refuse (wanted != [ ])
      "`systemd.services.<name>.wantedBy` has a target for ${words wanted}, which ${o "vllm"} makes a step of the transition: every switch would start it, in any mode; leave `wantedBy` empty.")
    (served "desktop")
    (served "compute")
    (refuse (cfg.k3s.integrate && !config.services.k3s.enable)
      "${o "k3s.integrate"} is on, but `services.k3s.enable` is off: enable k3s, or leave it out.")
    (refuse (cfg.k3s.integrate && !lib.elem "k3s.service" cfg.settings.units.protected)
      "${o "k3s.integrate"} is on, but ${o "settings.units.protected"} lacks k3s.service: no transition may stop it.")
    (refuse (cfg.polkit.enable && !config.security.polkit.enable)
      "${o "polkit.enable"} is on, but `security.polkit.enable` is off: nobody would read the rule.")
    (refuse long
      "${o "settings.transitions.overall"} is ${overall}, but `systemd.services.\"mode-controller@\".serviceConfig.TimeoutStartSec` is ${toString limit}: systemd would end an attempt half way; it must be longer.")
    (refuse (!derived.studioHere && cfg.settings.triggers.idle.from_studio_local)
      "${o "settings.triggers.idle.from_studio_local"} is on, but ${o "capabilities.studio.placement"} is ${cfg.capabilities.studio.placement}: this host has no studio-local to leave.")
    (refuse (cfg.settings.paths.run_dir != "/run/mode-controller" || cfg.settings.paths.lib_dir != "/var/lib/mode-controller")
      "${o "settings.paths.run_dir"} and ${o "settings.paths.lib_dir"} must be /run/mode-controller and /var/lib/mode-controller, which the units of ${o "package"} keep.")
  ];

  warnings =
    lib.optional (gpus.present != null && lib.length gpus.present < gpus.planned)
      "${o "gpus.planned"} is ${toString gpus.planned}, but ${o "gpus.present"} has ${toString (lib.length gpus.present)}: what is missing is left out until it is there."
    ++ lib.concatMap (mode: lib.optional (vllm.profiles.${mode}.enable && !(derived.profiles ? ${mode}))
      "${o "vllm.profiles.${mode}.enable"} is on, but none of ${o "gpus.ai.${mode}"} is there: no server runs in ${mode}."
    ) [ "desktop" "compute" ]
    ++ lib.optional (!derived.studioHere && (cfg.studio.environment != { } || cfg.studio.audioPriority.weights != { } || cfg.studio.audioPriority.timers != null || cfg.studio.audioPriority.governor != null))
      "${o "studio"} is set, but ${o "capabilities.studio.placement"} is ${cfg.capabilities.studio.placement}: it has no effect here."
    ++ lib.optional (cfg.settings.triggers.return && !cfg.settings.triggers.background)
      "${o "settings.triggers.return"} is on, but ${o "settings.triggers.background"} is off: what it would do is only told.";
}
