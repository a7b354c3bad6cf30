"""The step as a device program: a list of launches without a word from the host, and the run around it."""
