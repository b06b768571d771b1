{
  description = "modewatch moves a host safely between desktop, studio and compute";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux" # evaluated, built by nobody yet
      ];
      eachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      version = "0.1.0+${self.shortRev or self.dirtyShortRev or "dirty"}";
    in
    {
      packages = eachSystem (pkgs: rec {
        modewatch = pkgs.callPackage ./nix/package.nix { inherit version; };
        default = modewatch;
      });

      overlays.default = final: _: {
        modewatch = final.callPackage ./nix/package.nix { inherit version; };
      };

      # Plain paths: they work without a flake too, and count once however often
      # they are imported.
      nixosModules = rec {
        modewatch = ./nix/module.nix;
        default = modewatch;
      };

      # A whole host of the specification, so that "nix flake check" evaluates one.
      nixosConfigurations.example = lib.nixosSystem {
        modules = [
          self.nixosModules.default
          ./nix/example/host.nix
          { nixpkgs.hostPlatform = "x86_64-linux"; }
        ];
      };

      checks = eachSystem (pkgs: import ./nix/checks.nix { inherit self pkgs; });

      devShells = eachSystem (pkgs: {
        default = pkgs.mkShell {
          # What the cgo part needs is in mkShell's compiler; see the package for why.
          hardeningDisable = [ "bindnow" ];
          packages = [
            pkgs.go
            pkgs.gnumake
            pkgs.shellcheck
            pkgs.dbus
            pkgs.qemu
          ];
        };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
