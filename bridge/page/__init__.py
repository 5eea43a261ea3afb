"""The status page: one document for whoever is on call, which draws what `/status` says. Used by `bridge.service`.

The files of this folder become one document at the start, so that a page that was loaded needs nothing but `/status`
any more. It may run its own script and style, known by their hashes, and nothing else: no foreign text becomes markup.
"""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from aiohttp import web

__all__ = ["document", "page_routes"]

_STYLE, _SCRIPT = "/* style */", "/* script */"
_SCRIPTS = ("format.js", "element.js", "series.js", "words.js", "view.js", "timeline.js", "main.js")


def document() -> tuple[str, str]:
    """Give the page and the policy that browsers are to hold it to (Content Security Policy Level 3)."""
    style, script = _read("page.css"), "".join(map(_read, _SCRIPTS))
    policy = (
        "default-src 'none'",
        f"style-src {_hash(style)}",
        f"script-src {_hash(script)}",
        "connect-src 'self'",
        "img-src data:",  # the icon of the tab, which shows how things are
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    text = _read("page.html").replace(_STYLE, style).replace(_SCRIPT, script)
    return text, "; ".join(policy)


def page_routes() -> list[web.RouteDef]:
    """Give the path of the page."""
    text, policy = document()
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-cache",  # another release has another page
    }

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)

    return [web.get("/", show)]


def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
