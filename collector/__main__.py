"""`python -m collector` is the command `chaobiao`."""

from collector.cli.main import main

if __name__ == "__main__":
    main()
