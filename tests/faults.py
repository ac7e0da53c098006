"""docs/faults.md, from the marks of the tests that inject the faults: `python -m tests.faults` writes it.

A row stands only as long as its test passes: what it says was seen by the test, on a real deployment.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CHECKOUT = Path(__file__).parents[1]
PAGE = _CHECKOUT / "docs/faults.md"
_TESTS = _CHECKOUT / "tests/stack"
_HEAD = """\
# Faults and outcomes

What happens when something breaks. Each row is a test of tests/stack that breaks it on a running stack and sees what
stands here; `make docs` writes it from the tests' own marks. Under load, a client outside writes all the time and
remembers which rows were acknowledged.

| fault | what one sees | outcome | test |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Fault:
    """One row: the arguments of `pytest.mark.fault`, and the test that has it."""

    fault: str
    seen: str
    outcome: str
    test: str


def faults() -> Iterator[Fault]:
    """Every mark in tests/stack, by file and line. Raises TypeError for one that is incomplete."""
    for path in sorted(_TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                # on the test, or on one of the parameters that it runs with
                for mark in (it for decorator in node.decorator_list for it in ast.walk(decorator)):
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                        (fault,) = (ast.literal_eval(it) for it in mark.args)
                        named = {str(it.arg): ast.literal_eval(it.value) for it in mark.keywords}
                        yield Fault(fault, **named, test=f"{path.relative_to(_CHECKOUT)}::{node.name}")


def page() -> str:
    """The whole of docs/faults.md."""
    rows = sorted(faults(), key=lambda it: it.fault)
    return _HEAD + "".join(
        f"| {it.fault} | {it.seen} | {it.outcome} | [{it.test.partition('::')[0].rpartition('/')[2]}]"
        f"(../{it.test.partition('::')[0]}) |\n"
        for it in rows
    )


if __name__ == "__main__":
    PAGE.write_text(page())
