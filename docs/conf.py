"""The site of `make docs`: every page of this repository that is written for people, from where it stands.

The sources begin at the root, so that a link from any page to any other is checked, headings included; on GitHub the
same links work as they are. A new page is in the table of contents by itself; its place there is in `docs/index.md`.
"""

import re
from pathlib import Path

_INIT = Path(__file__).parents[1] / "bridge" / "__init__.py"

project = "portos-bridge"
release = re.search(r'__version__ = "(.+)"', _INIT.read_text(encoding="utf-8")).group(1)

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    *("README.md", "ARCHITECTURE.md", "CHANGELOG.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"),
    *("docs/*.md", "docs/runbook/*.md", "sinks/*/README.md", "examples/*/README.md", "helm/portos-bridge/*.md"),
]
myst_heading_anchors = 4  # as GitHub makes them
suppress_warnings = ["misc.highlighting_failure"]  # Mermaid stays text: its renderer would come from elsewhere

html_theme = "furo"
html_title = f"portos-bridge {release}"
html_extra_path = ["site"]  # what leads from the top of the site to its first page
html_copy_source = False
html_show_sphinx = False
