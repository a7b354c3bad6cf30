"""The run directory: written safely while a simulation runs, read back by everything that looks at results."""
