"""Known vulnerabilities of what is locked: `python -m tests.supply.vulnerabilities PIP_AUDIT LOCK...`, by `make audit`.

pip-audit asks the package index for them, and calls a package that the index tells nothing of skipped, which alone is
a success. Not here: a package without an answer is an error, and where none has one, the index is a mirror that has no
vulnerabilities to tell, or is out of reach. That is said, and is an error where AUDIT_REQUIRE=vulnerabilities asks.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["judge", "main"]

_UNREACHABLE = (
    "SKIPPED, no known vulnerability was looked for: {}. The workflow `ci` does it for every change and each Monday."
)


def main(argv: Sequence[str]) -> int:
    """Audit each lock; 0 is clean or skipped."""
    program, *locks = argv
    return max(_audited(program, lock) for lock in locks)


def judge(report: Mapping[str, Any]) -> tuple[bool | None, Sequence[str]]:
    """Say what a report of pip-audit means: clean or not, `None` where it knows nothing; and what it says."""
    packages = report["dependencies"]
    unanswered = [each["name"] for each in packages if "skip_reason" in each]
    if len(unanswered) == len(packages):
        return None, ["the package index tells of none"]
    found = [
        f"{each['name']} {each['version']}: {bug['id']}, mended in {', '.join(bug['fix_versions']) or 'no version'}"
        for each in packages
        for bug in each.get("vulns", ())
    ]
    found += [f"{name}: the index does not know it" for name in unanswered]
    return not found, found or [f"{len(packages)} packages, no known vulnerability"]


def _audited(program: str, lock: str) -> int:
    command = [program, "--requirement", lock, "--require-hashes", "--disable-pip", "--format", "json"]
    done = subprocess.run(
        [*command, "--progress-spinner", "off"], capture_output=True, text=True, timeout=300, check=False
    )
    try:
        clean, lines = judge(json.loads(done.stdout))
    except json.JSONDecodeError:
        clean, lines = None, [(done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1][:200]]
    if clean is None:
        print(f"{lock}: {_UNREACHABLE.format(lines[0])}")
        return int("vulnerabilities" in os.environ.get("AUDIT_REQUIRE", ""))
    print(*(f"{lock}: {line}" for line in lines), sep="\n")
    return int(not clean)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
