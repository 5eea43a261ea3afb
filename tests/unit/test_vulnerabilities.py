"""What `make audit` makes of pip-audit's reports: silence about a package is never taken for its being sound."""

from typing import Any

import pytest

from tests.supply.vulnerabilities import judge

SOUND = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
ILL = {"name": "yarl", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "attrs", "skip_reason": "Dependency not found on PyPI and could not be audited: attrs (26.1.0)"}


@pytest.mark.parametrize(
    ("packages", "clean", "said"),
    [
        ([SOUND], True, "no known vulnerability"),
        ([SOUND, ILL], False, "yarl 1.0: PYSEC-1, mended in 1.1"),
        ([SOUND, UNKNOWN], False, "attrs: the index does not know it"),
        ([UNKNOWN, UNKNOWN], None, "the package index tells of none"),
    ],
)
def test_only_answers_count(packages: list[Any], clean: object, said: str) -> None:
    """Clean is what was answered for every package; without any answer nothing is known."""
    verdict, lines = judge({"dependencies": packages, "fixes": []})

    assert verdict is clean
    assert any(said in line for line in lines)
