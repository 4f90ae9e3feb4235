"""`python -m diffdenoise` is the command `diffdenoise`."""

from diffdenoise.cli.app import main

if __name__ == "__main__":
    main()
