# A switch in each mode: in desktop and studio-local no session ends, in compute
# nothing graphical comes back, and in all of them the mode stays.
{ self }:
{
  name = "modewatch-switch";
  nodes.machine = {
    imports = [ (import ./common.nix { inherit self; }) ];
    specialisation.changed.configuration.services.modewatch = {
      settings.history.max = 77;
      studio.environment.CHANGED = "yes";
    };
  };
  testScript =
    { nodes, ... }:
    let
      base = nodes.machine.system.build.toplevel;
    in
    ''
      def switch():
          machine.succeed("${base}/specialisation/changed/bin/switch-to-configuration test")
          machine.succeed("grep -q 77 /etc/modewatch/config.toml")

      def back():
          machine.succeed("${base}/bin/switch-to-configuration test")

      machine.wait_for_unit("modewatch.service")
      machine.wait_until_succeeds("pgrep -u alice -x sway")
      machine.wait_until_succeeds("modewatch current | grep -x desktop")

      for mode in ["desktop", "studio-local"]:
          with subtest(f"a switch in {mode}"):
              machine.succeed(f"modewatch request {mode}")
              before = machine.succeed("pgrep -u alice -x sway")
              switch()
              assert before == machine.succeed("pgrep -u alice -x sway"), "the session ended"
              machine.wait_until_succeeds(f"modewatch current | grep -x {mode}")
              back()

      with subtest("a switch in compute"):
          machine.succeed("modewatch request compute")
          served = machine.succeed("systemctl show -P MainPID inference.service")
          switch()
          machine.fail("pgrep -u alice -x sway")
          machine.fail("systemctl is-active greetd.service")
          machine.fail("systemctl is-active graphical.target")
          machine.succeed("systemctl is-active compute.target")
          assert served == machine.succeed("systemctl show -P MainPID inference.service"), "the server was restarted"
          machine.wait_until_succeeds("modewatch current | grep -x compute")
  '';
}
