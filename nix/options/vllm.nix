# The model server: one unit of the site's own, or two profiles of ours.
{ lib, config, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.modewatch.vllm;
  profile =
    {
      mode,
      enable,
      port,
    }:
    {
      enable = mkOption {
        type = types.bool;
        default = enable;
        defaultText = lib.literalExpression (if mode == "compute" then "config.services.modewatch.vllm.enable" else "false");
        description = "Whether a server runs in ${mode}, on the GPUs of {option}`services.modewatch.gpus.ai.${mode}`.";
      };
      model = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/var/lib/vllm/models/name";
        description = "The model that is served: a directory, fetched beforehand. The server has no network but the loopback.";
      };
      program = mkOption {
        type = types.str;
        default = "/var/lib/vllm/venv/bin/vllm";
        description = "The program that serves it.";
      };
      port = mkOption {
        type = types.port;
        default = port;
        description = "The server's port on the loopback.";
      };
      extraArgs = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "--tensor-parallel-size" "2" ];
        description = "Words that are added to the server's command. Each is one word, without blanks.";
      };
      environment = mkOption {
        type = types.attrsOf types.str;
        default = { };
        description = "Variables of the server. They can be read by everyone: no secrets.";
      };
      memoryMax = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "64G";
        description = "Memory that the server cannot exceed, as systemd writes it.";
      };
    };
in
{
  options.services.modewatch.vllm = {
    enable = lib.mkEnableOption "a model server in compute";
    unit = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "vllm.service";
      description = ''
        A service of the site's own that takes the place of
        {file}`vllm@compute.service`. It must not be wanted by any target. Of the
        profile only the port counts then.
      '';
    };
    apiKeyFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/vllm-api-key";
      description = "A file, outside of the store, with the key that clients must show. `null` for none.";
    };
    profiles = {
      compute = profile {
        mode = "compute";
        enable = cfg.enable;
        port = 8000;
      };
      desktop = profile {
        mode = "desktop";
        enable = false;
        port = 8001;
      };
    };
  };
}
