"""The sinks that portos-bridge ships: one folder each, found through entry points."""
