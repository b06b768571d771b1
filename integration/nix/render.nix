# What a configuration comes to, as files of a host: the drop-ins that NixOS makes of
# the units' options, and /etc. A value here is a file's text, or where a link leads.
{ lib, config }:
let
  inherit (lib) concatMapStrings concatStrings mapAttrs' mapAttrsToList;
  word = value: if lib.isBool value then lib.boolToString value else toString value;
  line = key: value: concatMapStrings (v: "${key}=${word v}\n") (lib.toList value);
  section = name: body: lib.optionalString (body != "") "[${name}]\n${body}";
  set = values: concatStrings (mapAttrsToList line values);
  joined = unit: key: option: lib.optionalString (unit.${option} or [ ] != [ ]) "${key}=${toString unit.${option}}\n";

  head = unit: joined unit "Conflicts" "conflicts" + joined unit "Wants" "wants"
    + lib.optionalString (unit ? reloadTriggers) "X-Reload-Triggers=${toString unit.reloadTriggers}\n"
    + set (unit.unitConfig or { });
  body = unit: set (unit.serviceConfig or { })
    + lib.optionalString (unit.restartIfChanged or true == false) "X-RestartIfChanged=false\n"
    + lib.optionalString (unit.stopIfChanged or true == false) "X-StopIfChanged=false\n";

  dropin = type: name: unit: {
    name = "etc/systemd/system/${name}.${type}.d/overrides.conf";
    value.text = section "Unit" (head unit) + section "Service" (body unit);
  };
  wanted = of: services: lib.listToAttrs (lib.concatLists (mapAttrsToList (name: unit: map (target: {
    name = "etc/systemd/${of}/${target}.wants/${name}.service";
    value.link = "/usr/lib/systemd/${of}/${name}.service";
  }) (unit.wantedBy or [ ])) services));

  etc = lib.filterAttrs (_: file: file.text != null) config.environment.etc;
in
lib.filterAttrs (_: file: file.text or "link" != "") (
  mapAttrs' (dropin "service") config.systemd.services
  // mapAttrs' (dropin "target") config.systemd.targets
  // wanted "system" config.systemd.services
  // wanted "user" config.systemd.user.services
)
// mapAttrs' (name: file: { name = "etc/${name}"; value.text = file.text; }) etc
