"""`python -m collector` is the command `chaobiao`."""

from collector.cli import main

if __name__ == "__main__":
    main(prog_name="chaobiao")
