"""DL/T 645-2007: frames, identifiers, sessions."""
