"""The line that a finished stage leaves."""

from mothernets_jax.stages.figures import in_short, in_words, of_finished

TRAINED = {"train_loss": [1.0, 0.25], "train_error": [0.5, 0.125]}
HISTORY = {
    "A": {**TRAINED, "validation_error": [0.5, 0.25]},
    "B": {**TRAINED, "train_loss": [1.0, 0.75], "validation_error": [0.5, 0.75]},
}


def record(**how):
    return {
        "name": "mothernets-A-B",
        "members": ["A", "B"],
        "epochs": {"A": 2, "B": 2},
        "history": HISTORY,
        "left_out": {},
        "checks": {},
        **how,
    }


def test_figures_are_means_over_members():
    expected = "loss 0.500, training error 12.5%, validation error 50.0%"
    assert in_words(HISTORY) == expected
    assert in_short(HISTORY) == "loss 0.500, errors 12.5%, 50.0%"
    unjudged = {"A": {**TRAINED, "validation_error": [None, None]}}
    assert in_words(unjudged) == "loss 0.250, training error 12.5%"
    assert in_short(unjudged) == "loss 0.250, error 12.5%"


def test_members_without_an_epoch_have_no_part_in_the_means():
    nothing = {"train_loss": [], "train_error": [], "validation_error": []}
    assert in_short({**HISTORY, "C": nothing}) == in_short(HISTORY)
    assert in_short({"C": nothing}) == in_words({"C": nothing}) == "no epoch succeeded"


def test_a_finished_stage_is_one_line():
    told = of_finished(record())
    assert told == "mothernets-A-B: 2 epochs, loss 0.500, errors 12.5%, 50.0%"
    checks = {
        name: {"relative_logit_difference": change}
        for name, change in (("A", 2e-7), ("B", 4.1e-7))
    }
    told = of_finished(record(checks=checks))
    assert told.endswith("50.0%, hatched to 4e-07")


def test_a_stage_without_networks_says_so():
    reasons = {"A": "its loss is nan", "B": "its loss is nan"}
    told = of_finished(record(left_out=reasons))
    assert told == "mothernets-A-B: none of its networks could be trained"
