"""`portos-bridge asyncapi`: what the configuration publishes, and where, as an AsyncAPI 3.0 document."""

import json

from bridge.asyncapi import document
from bridge.commands.configuration import configured
from bridge.commands.output import say

__all__ = ["asyncapi"]


def asyncapi() -> int:
    """Print the document, as JSON."""
    say([json.dumps(document(configured()), indent=2, ensure_ascii=False)], exactly=True)
    return 0
