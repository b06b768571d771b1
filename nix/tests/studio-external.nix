# The studio is on another machine: this one refuses studio-local, and goes on.
{ self }:
{
  name = "modewatch-studio-external";
  nodes.machine = {
    imports = [ (import ./common.nix { inherit self; }) ];
    services.modewatch.capabilities.studio.placement = "external-mac-mini";
  };
  testScript = ''
    machine.wait_for_unit("modewatch.service")
    machine.wait_until_succeeds("pgrep -u alice -x sway")
    machine.wait_until_succeeds("modewatch current | grep -x desktop")

    code, said = machine.execute("modewatch request studio-local 2>&1")
    assert code == 19, f"exit {code}, want 19: {said}"
    machine.fail("systemctl start studio-local-policy.service")

    machine.succeed("modewatch request compute")
    machine.succeed("modewatch current | grep -x compute")
    machine.succeed("modewatch request desktop")
  '';
}
