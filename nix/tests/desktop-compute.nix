# desktop → compute → desktop, with a login that comes back by itself.
{ self }:
{
  name = "modewatch-desktop-compute";
  nodes.machine = import ./common.nix { inherit self; };
  testScript = ''
    machine.wait_for_unit("modewatch.service")
    machine.wait_until_succeeds("pgrep -u alice -x sway")
    machine.wait_for_unit("desktop.target")
    machine.wait_until_succeeds("modewatch current | grep -x desktop")

    with subtest("only operators may wish"):
        machine.fail("su alice -c 'modewatch request compute'")
        machine.succeed("su bob -c 'modewatch request compute'")

    with subtest("compute is headless, and stays so"):
        machine.succeed("modewatch current | grep -x compute")
        machine.succeed("systemctl is-active compute.target inference.service")
        machine.fail("pgrep -u alice -x sway")
        machine.fail("systemctl is-active greetd.service")
        machine.fail("systemctl start greetd.service")

    with subtest("the way back"):
        machine.succeed("modewatch request desktop")
        machine.wait_until_succeeds("pgrep -u alice -x sway")
        machine.fail("systemctl is-active inference.service")

    with subtest("by the unit, as the rule of polkit allows"):
        machine.fail("su alice -c 'systemctl --no-ask-password start mode-controller@compute.service'")
        machine.succeed("su bob -c 'systemctl --no-ask-password start mode-controller@compute.service'")
        machine.succeed("modewatch current | grep -x compute")
  '';
}
