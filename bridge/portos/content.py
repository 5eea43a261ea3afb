"""What of a notification is published: the resource in it, less what is redacted, or only which resource it was.

Pure. Only the objects on the way to a redacted field are written anew; all else stays as the hub wrote it, so that no
number is rounded. No rule fails open: names match whatever their letter case, what stands where a rule expects an
object is redacted whole, and what cannot be searched, or was not asked for, is published as a reference.
"""

import hmac
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, TypeAlias

import msgspec

from bridge.message import CORRELATION_ID, LICENCE_ACTIVATED, Message
from bridge.reference import reference
from bridge.settings.core import Privacy, Subscribe
from bridge.settings.privacy import EVERYTHING, LICENCE, fields_of, same_name
from bridge.source import Unreadable

__all__ = ["Content"]

_Rule: TypeAlias = Callable[[msgspec.Raw], msgspec.Raw]
_Rules: TypeAlias = "dict[str, _Rule | _Rules]"

_NULL: Final = msgspec.Raw(b"null")
_PSEUDONYM_DIGITS: Final = 32  # 128 bits: no two values of a shop get the same by chance
_encode = msgspec.json.Encoder(order="sorted").encode
_encode_as_it_was = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


class _Change(msgspec.Struct, gc=False):
    r: msgspec.Raw = msgspec.Raw()


class _Notification(msgspec.Struct, gc=False):
    p: _Change


class _Other(msgspec.Struct, gc=False):
    p: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Notification).decode
_decode_other = msgspec.json.Decoder(_Other).decode


class Content:
    """Reduces messages to what may be stored and published. What identifies them stays that of the original."""

    def __init__(self, subscribe: Subscribe, privacy: Privacy, *, references: bool) -> None:
        self._references = references
        self._wanted = frozenset(map(same_name, subscribe.resources))
        self._key = privacy.hmac_key.get_secret_value().encode() if privacy.hmac_key else b""
        self._rules: _Rules = {}
        self._add(privacy.redact, lambda _: _NULL)
        self._add(privacy.pseudonymise, self._pseudonym)

    def reduced(self, message: Message) -> Message:
        """Give the message with the redacted resource for its body, or a reference where there is none to be had.

        The notification's own reference goes with the notification: nobody knows what it holds. What the bridge has
        found out of its version stays.
        """
        body = None
        if not self._references:
            try:
                body = self._resource(message)
            except (ValueError, RecursionError):  # as `read` has them, and as deep; a reference holds nothing to hide
                body = None
        flags = tuple(flag for flag in message.flags if flag[0] != CORRELATION_ID)
        return msgspec.structs.replace(message, body=body or reference(message), flags=flags)

    def shortened(self, record: Unreadable) -> Unreadable:
        """Give an unreadable record without its bytes, of which nobody knows what they hold: their number and a hash.

        The hash is keyed if there is a key.
        """
        kind = "HMAC-SHA-256" if self._key else "SHA-256"
        digest = hmac.digest(self._key, record.body, "sha256") if self._key else sha256(record.body).digest()
        text = f"{record.text}; not kept: {len(record.body)} bytes, {kind} {digest.hex()}"
        return Unreadable(record.reason, text, b"", record.received_at)

    def _add(self, paths: Iterable[str], rule: _Rule) -> None:
        for path in paths:
            *way, field = fields_of(path)
            rules = self._rules
            for name in way:
                match rules.setdefault(name, {}):
                    case dict() as inner:
                        rules = inner
                    case _:
                        raise ValueError("one path is part of another, which bridge.settings.privacy refuses")
            rules[field] = rule

    def _resource(self, message: Message) -> bytes | None:
        """Give what the notification is about, redacted; None where it holds no object that was asked for."""
        if message.resource is None:
            found = [_decode_other(message.body).p] if message.event == LICENCE_ACTIVATED else []
            rules = self._rules.get(LICENCE)
        else:
            name = same_name(message.resource)
            if name not in self._wanted and EVERYTHING not in self._wanted:
                return None
            found = _elements(_decode(message.body).p.r)
            rules = self._rules.get(name)
        objects = [each for each in found if _is_object(each)]
        if isinstance(rules, dict):
            objects = [_ruled(each, rules) for each in objects]
        return None if not objects else bytes(objects[0]) if len(objects) == 1 else _encode_as_it_was(objects)

    def _pseudonym(self, value: msgspec.Raw) -> msgspec.Raw:
        """Hash a value, or each of a list: of a text the UTF-8, of anything else the JSON; what is null stays so."""
        text = bytes(value)
        if text == b"null":
            return value
        if text.startswith(b"["):
            return msgspec.Raw(_encode([self._pseudonym(each) for each in _items(value)]))
        if text.startswith(b'"'):
            text = _text(value).encode()
        elif text.startswith(b"{"):
            text = _encode(msgspec.json.decode(value))
        return msgspec.Raw(b'"%b"' % hmac.digest(self._key, text, "sha256").hex()[:_PSEUDONYM_DIGITS].encode())


def _elements(value: msgspec.Raw) -> list[msgspec.Raw]:
    """Give the objects of `p.r`: it is documented as a list, but one by itself is taken as well."""
    return _items(value) if bytes(value).startswith(b"[") else [value]


def _is_object(value: msgspec.Raw) -> bool:
    return bytes(value).startswith(b"{")


def _ruled(value: msgspec.Raw, rules: _Rules) -> msgspec.Raw:
    """Apply rules to an object, or to each in a list; anything else that is not null has no place here and is gone."""
    if _is_object(value):
        members = _members(value)
        for name, member in members.items():
            match rules.get(same_name(name)):
                case None:
                    continue
                case dict() as inner:
                    members[name] = _ruled(member, inner)
                case rule:
                    members[name] = rule(member)
        return msgspec.Raw(_encode_as_it_was(members))
    if bytes(value).startswith(b"["):
        return msgspec.Raw(_encode_as_it_was([_ruled(each, rules) for each in _items(value)]))
    return _NULL
