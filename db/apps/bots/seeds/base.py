"""What every database of bots has: the permissions there are, and the system roles that hold them."""

from uuid import UUID

from db.apps.bots.models import Permission, Role, RolePermission
from db.seeds.rows import key

_PERMISSIONS = {
    "organization:read": "See the organization and its members",
    "organization:manage": "Change the organization's name, plan and settings",
    "members:manage": "Invite members, change their roles, remove them",
    "roles:manage": "Make roles of the organization's own",
    "bots:read": "See bots, their runs, logs and recordings",
    "bots:write": "Create, change and delete bots",
    "bots:run": "Start and stop runs",
    "workflows:read": "See workflows and their runs",
    "workflows:write": "Create, change and delete workflows",
    "tasks:read": "See tasks",
    "tasks:write": "Create, assign and finish tasks",
    "credentials:use": "Let bots use credentials",
    "credentials:manage": "Store, replace and delete credentials",
    "api_keys:manage": "Make and revoke API keys",
    "activity:read": "Read the audit trail",
}
_READING = tuple(it for it in _PERMISSIONS if it.endswith(":read") and it != "activity:read")
_WORKING = (*_READING, "bots:run", "tasks:write", "credentials:use")
_BUILDING = (*_WORKING, "bots:write", "workflows:write", "credentials:manage")
_ROLES = {
    "owner": ("May do everything", tuple(_PERMISSIONS)),
    "admin": ("May do everything but change the organization", tuple(set(_PERMISSIONS) - {"organization:manage"})),
    "builder": ("Makes bots and workflows", _BUILDING),
    "operator": ("Runs bots and does tasks", _WORKING),
    "viewer": ("Looks on", _READING),
}


def role(name: str) -> UUID:
    """The id of a system role."""
    return key("bots", "roles", name)


def _permission(name: str) -> UUID:
    return key("bots", "permissions", name)


ROWS = (
    *(Permission(id=_permission(name), key=name, description=told) for name, told in _PERMISSIONS.items()),
    *(Role(id=role(name), name=name, description=told) for name, (told, _) in _ROLES.items()),
    *(
        RolePermission(role_id=role(name), permission_id=_permission(permission))
        for name, (_, permissions) in _ROLES.items()
        for permission in sorted(permissions)
    ),
)
