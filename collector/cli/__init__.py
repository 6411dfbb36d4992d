"""The command `chaobiao`: words for people, exit statuses for scripts. One file a command; it decides nothing itself."""
