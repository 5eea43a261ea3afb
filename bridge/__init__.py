"""The core of portos-bridge: messages, the journal and the contract of adapters."""

__version__ = "0.1.0"
