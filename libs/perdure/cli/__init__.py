"""The `perdure` command. It starts services as processes and imports none of them."""
