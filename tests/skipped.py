"""At the end of a run: how many tests were skipped, and why; a plugin of pytest's.

Its own list (`-rs`) has a line for each place in the code, of one reason a dozen.
"""

from collections import Counter
from collections.abc import Iterable

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason, count in by_reason(terminalreporter.getreports("skipped")).most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")


def by_reason(reports: Iterable[pytest.TestReport]) -> Counter[str]:
    return Counter(_reason(report) for report in reports)


def _reason(report: pytest.TestReport) -> str:
    told = report.longrepr
    text = str(told[2] if isinstance(told, tuple) else told)
    return text.removeprefix("Skipped: ")
