"""`python -m unbend`, and `torchrun … -m unbend`."""

from unbend.cli import main

if __name__ == "__main__":
    main()
