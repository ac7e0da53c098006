import pytest

from ops.errors import OpsError
from ops.migrate import aim

NAMES = ["0001_a", "0002_b", "0003_c"]


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ("-1", "0002_b"),
        ("-3", "base"),
        ("base", "base"),
        ("0001_a", "0001_a"),
        ("0001", "0001_a"),
        ("0003_c", "0003_c"),
    ],
)
def test_a_revision_can_be_named_numbered_or_counted_back(wanted: str, target: str) -> None:
    assert aim("maps", NAMES, "0003_c", wanted) == target


@pytest.mark.parametrize(
    ("current", "wanted", "said"),
    [
        ("0003_c", "-4", "can't go 4 back"),
        ("0003_c", "0009", "there are base, 0001_a"),
        ("0001_a", "0002_b", "`pgstack migrate up` goes there"),
        ("0009_z", "-1", "older than the database"),
        (None, "-1", "maps is at base"),
    ],
)
def test_a_revision_that_is_not_below_is_refused_with_the_reason(current: str | None, wanted: str, said: str) -> None:
    with pytest.raises(OpsError, match=said):
        aim("maps", NAMES, current, wanted)
