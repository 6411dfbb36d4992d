"""What an installation decides: collector.toml, the registry file, site profiles. Read once, checked whole, then frozen."""
