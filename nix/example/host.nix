# The host of the specification: a desktop under Hyprland, an audio studio, k3s, and a
# model server when nobody is at the desk. It has one GPU now and is planned with two.
{ lib, pkgs, ... }:
{
  networking.hostName = "workstation";
  system.stateVersion = "26.05";

  # Of a real host: its own hardware-configuration.nix.
  boot.loader.systemd-boot.enable = true;
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };

  hardware.graphics.enable = true;
  hardware.nvidia.open = true;
  hardware.nvidia.nvidiaPersistenced = true;
  services.xserver.videoDrivers = [ "nvidia" ];
  nixpkgs.config.allowUnfree = true;

  programs.hyprland.enable = true;
  services.greetd = {
    enable = true;
    settings.default_session.command = "${lib.getExe pkgs.tuigreet} --cmd Hyprland";
  };
  security.rtkit.enable = true;
  services.pipewire = {
    enable = true;
    jack.enable = true;
    pulse.enable = true;
  };

  services.openssh.enable = true;
  services.k3s.enable = true;
  security.polkit.enable = true;

  users.users.operator = {
    isNormalUser = true;
    extraGroups = [ "wheel" "audio" "video" ];
  };

  services.modewatch = {
    enable = true;
    operators = [ "operator" ];

    gpus = {
      planned = 2;
      present = [ 0 ]; # [ 0 1 ] once the second is in
    };

    capabilities.studio.placement = "local";

    vllm.enable = true;
    vllm.profiles.compute = {
      model = "/var/lib/vllm/models/assistant";
      extraArgs = [ "--gpu-memory-utilization" "0.90" ];
    };

    settings = {
      # The gate stays shut until the host has shown that it can be trusted:
      # triggers.background = true;
      guards.memory_headroom.model = "40GiB";
    };
  };
}
