# Stand-ins for the options of NixOS that the module writes to or reads, and for the
# few things of pkgs that it uses. They take what NixOS takes, and do nothing.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  any = default: mkOption { type = types.anything; inherit default; };
  list = mkOption { type = types.listOf types.anything; default = [ ]; };
  program = name: { type = "derivation"; inherit name; outPath = "/usr"; meta.mainProgram = name; };
  units = mkOption { type = types.attrsOf (types.attrsOf types.anything); default = { }; };
in
{
  options = {
    assertions = list;
    warnings = mkOption { type = types.listOf types.str; default = [ ]; };
    environment.etc = mkOption {
      type = types.attrsOf (types.submodule {
        options.text = mkOption { type = types.nullOr types.str; default = null; };
        options.source = mkOption { type = types.nullOr types.path; default = null; };
      });
      default = { };
    };
    environment.systemPackages = list;
    security.polkit.enable = any true;
    security.polkit.extraConfig = mkOption { type = types.lines; default = ""; };
    services.dbus.packages = list;
    services.getty.autologinUser = any null;
    services.greetd.enable = any false;
    services.k3s.enable = any false;
    services.k3s.extraFlags = mkOption { type = types.either types.str (types.listOf types.str); default = [ ]; };
    systemd.defaultUnit = mkOption { type = types.str; default = "multi-user.target"; };
    systemd.packages = list;
    systemd.services = units;
    systemd.targets = units;
    systemd.user.services = units;
    systemd.tmpfiles.packages = list;
    users.groups = mkOption { type = types.attrsOf (types.attrsOf types.anything); default = { }; };
    users.users = mkOption { type = types.attrsOf (types.attrsOf types.anything); default = { }; };
  };

  config._module.args.pkgs = {
    stdenv.buildPlatform.canExecute = _: true;
    stdenv.hostPlatform = { };
    # Installed as on plain Linux, so that what comes out can be booted there.
    pipewire = program "pipewire";
    python3 = program "python3";
    callPackage = _: _: program "modewatch";
    formats.toml = _: {
      type = types.attrsOf types.anything;
      generate = name: _: "/written/${name}";
    };
    runCommand = name: _: _: "/checked/${name}";
  };
}
