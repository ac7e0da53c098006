import pytest

from ops.words import ago, size, span


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (119, "119 s"), (125, "2 min"), (7300, "2 h"), (86400 * 9, "9 d")]
)
def test_a_length_of_time_is_said_in_its_best_unit(seconds: float, said: str) -> None:
    assert span(seconds) == said
    assert ago(seconds) == f"{said} ago"


@pytest.mark.parametrize(("amount", "said"), [(512, "512 B"), (23059956, "22.0 MB"), (3 * 1024**4, "3.0 TB")])
def test_a_size_is_said_in_powers_of_1024(amount: int, said: str) -> None:
    assert size(amount) == said
