"""What README tells people to type, typed."""

import re
import uuid

from tests.deployment import CHECKOUT, NewStack


def test_every_shell_line_of_the_readme_works_as_it_stands(new_stack: NewStack) -> None:
    readme = (CHECKOUT / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    # the second stack of the page gets a name that nobody's stack on this host can have
    script = "\n".join(blocks).replace("pr-12", f"pr-{uuid.uuid4().hex[:6]}")
    stack = new_stack(own_copy=True)
    stack.up()
    # the clone's own entry point would run the original checkout, which is installed into the shared environment
    pgstack = 'pgstack() { .venv/bin/python -m ops.main "$@"; }\n'
    script = pgstack + script.replace(".venv/bin/pgstack", "pgstack")
    stack.env |= {"PULUMI_STACK": stack.name, "PAGER": "cat"}
    done = stack.run("bash", "-euo", "pipefail", "-c", script)
    assert "Palancar" in done.stdout
    assert re.search(r"\d{4}_remember_each", done.stdout)
    assert f"{stack.prefix}-pooler" in done.stdout
