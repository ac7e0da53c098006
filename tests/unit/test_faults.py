"""The page of faults says what the tests say."""

from tests.faults import PAGE, faults, page


def test_the_page_of_faults_is_what_the_tests_say_now() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_no_two_tests_claim_the_same_fault_and_each_outcome_is_one_of_two() -> None:
    there = list(faults())
    assert len({it.fault for it in there}) == len(there) >= 10
    assert {it.outcome.partition(":")[0] for it in there} == {"survived", "detected"}
