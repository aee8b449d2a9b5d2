"""``python -m keepwarm``: the same command, whichever interpreter is asked."""

from keepwarm.main import main

if __name__ == "__main__":
    main()
