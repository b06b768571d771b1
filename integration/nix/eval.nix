# Evaluates the module in every scenario, with nixpkgs' lib.
{ lib }:
let
  module =
    scenario:
    lib.evalModules {
      modules = [
        ../../nix/module.nix
        ./stubs.nix
        { services.modewatch.enable = lib.mkDefault true; }
        scenario
      ];
    };
  evaluate =
    scenario:
    let
      inherit (module scenario) config;
      cfg = config.services.modewatch;
    in
    {
      refused = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
      inherit (config) warnings;
      settings = cfg.settings;
      files = import ./render.nix { inherit lib config; };
      inherit (config.systemd) defaultUnit;
      k3s = config.services.k3s.extraFlags;
      polkit = config.security.polkit.extraConfig;
      groups = config.users.groups;
      users = lib.attrNames config.users.users;
      packages = lib.length config.systemd.packages;
    };
in
{
  scenarios = lib.mapAttrs (_: evaluate) (import ./scenarios.nix);
  reference = import ../../nix/reference.nix {
    inherit lib;
    options = (module { }).options.services.modewatch;
  };
}
