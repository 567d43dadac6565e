"""`python -m pretrial`: the command `pretrial`."""

from pretrial.cli import main

if __name__ == "__main__":
    main()
