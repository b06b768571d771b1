# The reference of the module's options, as Markdown.
{ lib, options }:
let
  text = value: value.text or (lib.generators.toPretty { multiline = false; } value);
  flat =
    string:
    lib.concatStringsSep " " (
      lib.filter (word: word != "") (lib.splitString " " (lib.replaceStrings [ "\n" ] [ " " ] string))
    );
  # The manual's roles, in plain Markdown.
  plain = lib.replaceStrings [ "{option}" "{file}" "{command}" "{manpage}" ] [ "" "" "" "" ];
  entry =
    option:
    let
      short = lib.removePrefix "services.modewatch." option.name;
    in
    ''
      ### `${short}`

      ${plain (lib.trim (option.description.text or option.description))}

      - type: ${option.type}
    ''
    + lib.optionalString (option ? default) "- default: `${flat (text option.default)}`\n"
    + lib.optionalString (option ? example) "- example: `${flat (text option.example)}`\n"
    + lib.optionalString (option.readOnly or false) "- set by the module alone\n";

  all = lib.filter (option: option.visible && !option.internal) (lib.optionAttrSetToDocList options);
  sorted = lib.sort (a: b: lib.splitString "." a.name < lib.splitString "." b.name) all;
  inFile = lib.hasPrefix "services.modewatch.settings.";
in
''
  # Options of the NixOS module

  Made from the module by `nix/reference.nix`; do not edit. All are under
  `services.modewatch`. [nixos.md](nixos.md) says how to use them.

  ## What NixOS itself needs to know

  ${lib.concatMapStringsSep "\n" entry (lib.filter (option: !inFile option.name) sorted)}
  ## The configuration file

  ${lib.concatMapStringsSep "\n" entry (lib.filter (option: inFile option.name) sorted)}''
