# The program and all of dist/, built and installed by the Makefile as on any other
# system, with the paths of the store.
{
  lib,
  stdenv,
  autoAddDriverRunpath,
  go,
  buildGoModule,
  buildGo126Module ? buildGoModule,
  dbus,
  version ? "0.1.0",
}:

let
  # go.mod asks for Go 1.26; where that is not the default yet, it may be there.
  build = if lib.versionOlder go.version "1.26" then buildGo126Module else buildGoModule;
in
build (finalAttrs: {
  pname = "modewatch";
  inherit version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions (map (name: ../. + "/${name}") (import ./source.nix));
  };

  # What "go mod vendor" makes of src. A test of integration/nix computes it again.
  vendorHash = "sha256-hHIqINx0cEu/PrV56x+ePsKbpEzq5POzQ0qC/8PqOkU=";

  # NVML's library is opened by name when it is asked. The program finds it where
  # NixOS puts drivers, and starts where there is none: its functions are looked up
  # when they are called, which bindnow would forbid.
  nativeBuildInputs = [ autoAddDriverRunpath ];
  hardeningDisable = [ "bindnow" ];

  makeFlags = [
    "SHELL=${stdenv.shell}"
    "VERSION=${finalAttrs.version}"
    "PREFIX=${placeholder "out"}"
    # Reference files for the administrator; the module writes those in /etc.
    "SYSCONFDIR=${placeholder "out"}/share/modewatch/etc"
  ];

  buildPhase = ''
    runHook preBuild
    make build $makeFlags
    runHook postBuild
  '';

  # What needs a bus starts one; what needs a booted systemd skips itself.
  nativeCheckInputs = [ dbus ];
  checkPhase = ''
    runHook preCheck
    go test ./cmd/... ./fsm/... ./guards/... ./internal/... ./sinks/... ./sources/...
    runHook postCheck
  '';

  installPhase = ''
    runHook preInstall
    make install $makeFlags
    runHook postInstall
  '';

  meta = {
    description = "Moves a host safely between desktop, studio and compute";
    homepage = "https://github.com/modewatch/modewatch";
    license = lib.licenses.mit;
    mainProgram = "modewatch";
    platforms = lib.platforms.linux;
  };
})
