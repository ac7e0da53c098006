"""An application that lives in another's database, deployed beside it."""

import json

from tests.deployment import NewStack


def test_a_guest_is_deployed_into_its_hosts_database_and_refers_to_the_hosts_rows(new_stack: NewStack) -> None:
    stack = new_stack("preview")
    for place, app in enumerate(("petsitting", "panamia")):  # whatever the order
        stack.pulumi("config", "set", "--path", f"pgstack:apps[{place}]", app)
    stack.up()

    with stack.connect("petsitting_pooled_url") as guest:
        assert guest.execute("SELECT current_database()").fetchone() == ("panamia",)
        assert guest.execute("SELECT count(*) FROM listings JOIN panamia.users ON users.id = sitter_id").fetchone() != (
            0,
        )
    said = stack.pgstack("--stack", stack.name, "status", "--json", check=False)
    status = json.loads(said.stdout)
    assert status["problems"] == []
    assert set(status["apps"]) == {"panamia", "petsitting"}
    assert stack.plan() == []
