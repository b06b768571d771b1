# What "nix flake check" builds, for one system.
{ self, pkgs }:
let
  inherit (pkgs) lib;
  package = self.packages.${pkgs.stdenv.hostPlatform.system}.modewatch;
  example = self.nixosConfigurations.example;
  reference = pkgs.writeText "nixos-options.md" (
    import ./reference.nix {
      inherit lib;
      options = example.options.services.modewatch;
    }
  );
in
{
  # Builds it, and runs the unit tests.
  inherit package;

  lint = package.overrideAttrs (old: {
    pname = "modewatch-lint";
    nativeBuildInputs = old.nativeBuildInputs ++ [ pkgs.shellcheck ];
    buildPhase = ''
      test -z "$(gofmt -l cmd fsm guards internal sinks sources)"
      go vet ./...
      go tool staticcheck ./...
      shellcheck dist/libexec/*
    '';
    doCheck = false;
    installPhase = "touch $out";
    dontFixup = true;
  });

  options = pkgs.runCommand "modewatch-options-are-current" { } ''
    diff -u ${../docs/nixos-options.md} ${reference}
    touch $out
  '';
}
// lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") (
  {
    example = example.config.system.build.toplevel;
  }
  // lib.mapAttrs (_: test: pkgs.testers.runNixOSTest (import test { inherit self; })) {
    vm-desktop-compute = ./tests/desktop-compute.nix;
    vm-studio-external = ./tests/studio-external.nix;
    vm-switch = ./tests/switch.nix;
  }
)
