"""What a message becomes on standard output: a line with a CloudEvents event in JSON, the notification as its `data`.

Pure. The notification stands in the line byte for byte; one that is no JSON, or that a line cannot hold, stands there
as `data_base64` (JSON event format 1.0.2, 3.1.1), so that nothing has to be re-encoded or rejected.
"""

from base64 import b64encode
from json.encoder import encode_basestring_ascii

import msgspec

from bridge.message import Message, attributes

__all__ = ["line"]


def line(message: Message, site: str) -> bytes:
    """Write a message as one line."""
    pairs = [f'"{name}":{encode_basestring_ascii(text)}' for name, text in attributes(message, site)]
    pairs.append('"datacontenttype":"application/json"')
    attribute_bytes = ",".join(pairs).encode()
    if _fits_a_line(message.body):
        return b'{%b,"data":%b}\n' % (attribute_bytes, message.body)
    return b'{%b,"data_base64":"%b"}\n' % (attribute_bytes, b64encode(message.body))


def _fits_a_line(body: bytes) -> bool:
    if b"\n" in body or b"\r" in body:
        return False
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
