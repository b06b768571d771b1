# Every key of dist/config.toml as an option: its default is the one there, its
# description the comment above it. So there is one list of keys, and one place
# that says what they mean.
{ lib }:
let
  inherit (lib) types;
  file = ../dist/config.toml;
  defaults = builtins.fromTOML (builtins.readFile file);

  # The comment above each key and table, by dotted path.
  comments =
    let
      step =
        state: line:
        let
          comment = builtins.match "# ?(.*)" line;
          table = builtins.match "\\[(.*)]" line;
          key = builtins.match "([A-Za-z0-9_-]+) = .*" line;
          note = at: state // { above = [ ]; known = state.known // { ${at} = toString state.above; }; };
        in
        if comment != null then
          state // { above = state.above ++ comment; }
        else if table != null then
          note (builtins.head table) // { under = builtins.head table + "."; }
        else if key != null then
          note (state.under + builtins.head key)
        else
          state // { above = [ ]; };
      start = {
        under = "";
        above = [ ];
        known = { };
      };
    in
    (builtins.foldl' step start (lib.splitString "\n" (builtins.readFile file))).known;

  says = at: comments.${at} or "" != "" && comments.${at} != "As above.";

  # The budgets of all slices are described with the first of them.
  describe =
    path:
    let
      at = lib.concatStringsSep "." path;
      first = "slices.desktop.user.${lib.last path}";
    in
    if says at then comments.${at} else comments.${first} or (throw "dist/config.toml says nothing of ${at}");

  size = types.either types.ints.unsigned types.str;
  weight = types.ints.between 0 10000;

  # What a key takes, where its default does not tell.
  special = {
    cpu_weight = weight;
    io_weight = weight;
    memory_high = size;
    memory_max = size;
    model = size;
    floor = size;
    log_level = types.enum [ "trace" "debug" "info" "warn" "error" ];
    studio_to_compute = types.enum [ "direct" "via-desktop" ];
    on_block = types.enum [ "revert" "keep" ];
    on_timeout = types.enum [ "stop" "block" ];
    nvml = types.enum [ "auto" "off" ];
  };

  typeOf =
    path: value:
    special.${lib.last path} or (
      {
        bool = types.bool;
        int = types.ints.unsigned;
        float = types.numbers.nonnegative;
        string = types.str;
        list = types.listOf types.str;
        set = types.attrsOf types.str;
      }
      .${builtins.typeOf value}
    );
in
lib.mapAttrsRecursiveCond (value: value != { }) (
  path: value:
  lib.mkOption {
    type = typeOf path value;
    default = value;
    description = describe path;
  }
) defaults
