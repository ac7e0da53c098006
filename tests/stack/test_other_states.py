"""Two Pulumi states, one Docker host: whoever comes second takes nothing from whoever came first."""

from dataclasses import replace

from docker.models.volumes import Volume

from tests.deployment import NewStack, Stack


def test_a_state_that_is_new_to_the_host_does_not_take_over_volumes_of_the_same_name(
    stack: Stack, new_stack: NewStack
) -> None:
    before = {volume.name: volume.attrs["Labels"] for volume in _volumes(stack)}
    elsewhere = new_stack(own_copy=True)
    second = replace(elsewhere, name=stack.name)
    second.init("preview")
    preview = second.pulumi("preview", check=False)
    update = second.up(check=False)
    for done in (preview, update):
        assert done.returncode != 0
        assert f"this Docker host has volumes of another {stack.prefix}" in done.stdout
    second.pulumi("destroy", "--yes", "--skip-preview")
    assert {volume.name: volume.attrs["Labels"] for volume in _volumes(stack)} == before
    assert stack.admin_sql("SELECT count(*) FROM dovvybuddy.destinations", "dovvybuddy") == "1"


def _volumes(stack: Stack) -> list[Volume]:
    return stack.engine.volumes.list(filters={"label": f"pgstack.stack={stack.prefix}"})
