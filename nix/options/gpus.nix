# The GPUs, by index: what is planned, what is there, what each is for.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  indexes = types.listOf types.ints.unsigned;
  ai =
    mode: default: note:
    mkOption {
      type = indexes;
      inherit default;
      description = "The GPUs that compute in ${mode}. ${note}Those that are not there are left out.";
    };
in
{
  options.services.modewatch.gpus = {
    planned = mkOption {
      type = types.ints.between 1 64;
      default = 2;
      description = "How many GPUs the host is planned to have. One that is not there yet fails nothing.";
    };
    present = mkOption {
      type = types.nullOr indexes;
      default = null;
      example = [ 0 ];
      description = ''
        The GPUs that are there. `null` leaves it to the running host: the nodes
        of a GPU that is not there are passed over.
      '';
    };
    display = mkOption {
      type = types.ints.unsigned;
      default = 0;
      description = "The GPU that drives the display.";
    };
    ai = {
      desktop = ai "desktop" [ 1 ] "Never that of the display. ";
      studio-local = ai "studio-local" [ ] "Never that of the display. ";
      compute = ai "compute" [ 0 1 ] "";
    };
    nodes = mkOption {
      type = types.attrsOf (types.listOf types.str);
      default = { };
      example = {
        "0" = [ "/dev/nvidia0" "/dev/dri/card1" "/dev/dri/renderD128" ];
        "1" = [ "/dev/nvidia1" ];
      };
      description = ''
        The device nodes of a GPU, by its index, without wildcards. Without it, GPU N has
        {file}`/dev/nvidiaN`, and the display is on any node in {file}`/dev/dri`.
      '';
    };
    uuids = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        "0" = "GPU-11111111-2222-3333-4444-555555555555";
      };
      description = ''
        The UUID of a GPU ({command}`nvidia-smi -L`), by its index. Where all GPUs of
        a profile have one, its server is told them in `CUDA_VISIBLE_DEVICES`; else
        the nodes that it may open bound it alone.
      '';
    };
  };
}
