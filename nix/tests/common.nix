# A desk for the tests in virtual machines: alice logs in by herself, into a compositor
# that needs no GPU, and a stand-in answers as the model server does.
{ self }:
{ lib, pkgs, ... }:
{
  imports = [ self.nixosModules.default ];

  virtualisation.memorySize = 2048;
  security.polkit.enable = true;
  users.users.alice = {
    isNormalUser = true;
    uid = 1000;
  };
  users.users.bob.isNormalUser = true;

  programs.sway.enable = true;
  services.greetd = {
    enable = true;
    settings = rec {
      initial_session = {
        user = "alice";
        command = "env WLR_BACKENDS=headless WLR_RENDERER=pixman sway";
      };
      default_session = initial_session;
    };
  };

  systemd.services.inference = {
    description = "Stand-in for a model server";
    serviceConfig.ExecStart = "${lib.getExe pkgs.python3} ${./server.py}";
  };

  services.modewatch = {
    enable = true;
    operators = [ "bob" ];
    vllm = {
      enable = true;
      unit = "inference.service";
    };
    settings.guards.cpu_load_safe.max_pressure = 100; # emulated machines are slow
  };
}
