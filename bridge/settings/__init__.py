"""Every PORTOS_BRIDGE_ variable: the models, how they are loaded, and their reference table."""

from bridge.settings.base import CommaList, Part, Positive, SinkConfig, Site, Switch, is_loopback
from bridge.settings.core import Settings
from bridge.settings.tls import TlsFiles

__all__ = ["CommaList", "Part", "Positive", "Settings", "SinkConfig", "Site", "Switch", "TlsFiles", "is_loopback"]
