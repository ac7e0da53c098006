"""A file on the data volume that is there to be given up: a full disk can be worked on once it is freed.

`pgstack reserve free` empties it, whatever state the server is in; every `pulumi up` looks whether it is whole, and
makes it again.
"""

import pulumi

from infra.selfhosted.engine import Engine
from infra.threads import in_thread

_FILE = "/var/lib/postgresql/reserve"
_NO_ROOM = "no room"
# fallocate gives the file its blocks without writing them; as much again has to stay free
_KEEP = f"""\
[ "$(stat -c %s {_FILE} 2>/dev/null || echo 0)" -ne "$1" ] || exit 0
rm -f {_FILE}
[ "$1" -gt 0 ] || exit 0
free=$(df --output=avail --block-size=1 /var/lib/postgresql | tail -n 1)
[ "$free" -ge $((2 * $1)) ] && fallocate --length "$1" {_FILE} || {{ rm -f {_FILE}; echo {_NO_ROOM}; }}
"""


def keep(engine: Engine, container: str, size: int, server: pulumi.Resource) -> pulumi.Output[str]:
    """Have `size` bytes set aside by the server's `container` once `server` is ready; a preview changes nothing."""
    if pulumi.runtime.is_dry_run():
        return pulumi.Output.from_input("")

    async def made(_: str) -> str:
        said = await in_thread(engine.run_now, container, ["sh", "-c", _KEEP, "sh", str(size)])
        if _NO_ROOM in said:
            pulumi.log.warn(
                f"the disk under the data volume has no room for pgstack:reserve ({size // 1024**2}MB): free some, "
                "then `pulumi up` again"
            )
        return said

    return server.urn.apply(made)
