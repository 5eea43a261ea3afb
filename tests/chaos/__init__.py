"""The installed program as a black box under faults: real brokers, a real hub, and a judge that does not trust it."""
