"""`python -m payloadfield` is `payloadfield`."""

from payloadfield.cli import main

if __name__ == "__main__":
    main()
