"""Solutions made without the solver: exact formulae, independent integrations, and the published figures."""
