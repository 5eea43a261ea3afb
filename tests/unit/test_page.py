"""The page at `/`: one document that needs nothing else, and the policy that browsers hold it to."""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from bridge.admin import admin
from bridge.blind import CAUSES
from bridge.labels import LETTER_REASONS
from bridge.page import document, page_routes

SCRIPTS = [file.name for file in files("bridge.page").iterdir() if file.name.endswith(".js")]


async def served() -> tuple[int, Mapping[str, str], str]:
    """Give status, headers and text of the page as the admin port serves it."""
    async with (
        admin("127.0.0.1", 0, CollectorRegistry(), lambda: (), lambda: (), dict, page_routes()) as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        return answer.status, answer.headers, await answer.text()


def directives(policy: str) -> dict[str, str]:
    return dict(part.split(" ", 1) for part in policy.split("; "))


def inside(tag: str, text: str) -> str:
    """Give what stands between the only opening and closing tag of a kind."""
    (found,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", text, re.DOTALL)
    return str(found)


async def test_the_page_is_served_and_kept_by_nobody() -> None:
    status, headers, text = await served()

    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert text.startswith("<!doctype html>")
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


async def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else() -> None:
    """A browser runs neither what is injected nor what comes from elsewhere, and shows the page in no frame."""
    _, headers, text = await served()
    allowed = directives(headers["Content-Security-Policy"])

    for directive, tag in (("style-src", "style"), ("script-src", "script")):
        digest = b64encode(sha256(inside(tag, text).encode()).digest()).decode()
        assert allowed.pop(directive) == f"'sha256-{digest}'"
    assert allowed == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_the_document_has_every_file_of_its_folder_and_names_no_other_resource() -> None:
    """Nor a style or a handler of its own in an attribute, which the policy forbids."""
    text, _ = document()

    for name in [*SCRIPTS, "page.css"]:
        assert files("bridge.page").joinpath(name).read_text(encoding="utf-8") in text, name
    assert re.findall(r"(?:src|href)=\"(?!status|metrics|dlq|journal|asyncapi\.json|readyz|data:)", text) == []
    assert re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert re.findall(r"<[a-z][^>]*\s(?:style|on[a-z]+)=", text) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_foreign_text_can_become_markup(name: str) -> None:
    """What a hub or a broker says of itself is put into the document as text only."""
    script = files("bridge.page").joinpath(name).read_text(encoding="utf-8")

    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc", script) == []
    )


@pytest.mark.parametrize(("words", "known"), [("CAUSES", CAUSES), ("REASONS", LETTER_REASONS)])
def test_every_word_of_the_status_is_explained(words: str, known: tuple[str, ...]) -> None:
    text = files("bridge.page").joinpath("words.js").read_text(encoding="utf-8")
    (block,) = re.findall(rf"const {words} = {{(.*?)}};", text, re.DOTALL)

    assert set(re.findall(r"^  (\w+):", block, re.MULTILINE)) == set(known)
