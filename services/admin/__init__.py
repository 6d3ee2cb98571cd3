"""The admin process: registers deployments, shows and changes metadata, and carries operators' actions to invocations."""
