from __future__ import annotations

import dataclasses

import pytest

from plum_desktop.base.errors import PlumError
from plum_desktop.learning import recipe
from plum_desktop.learning.train import rate


def test_presets_have_their_own_names_and_others_are_refused() -> None:
    assert set(recipe.NAMES) >= {"default", "paper"}
    for name in recipe.NAMES:
        assert recipe.preset(name).name == name
    with pytest.raises(PlumError, match="default"):
        recipe.preset("fastest")


def test_paper_does_as_the_paper_says() -> None:
    paper = recipe.preset("paper")
    assert (paper.order, paper.epochs, paper.replay_questions) == ("sequential", 10, 0)


@pytest.mark.parametrize("name", recipe.NAMES)
def test_a_recipe_survives_the_job_folder(name: str) -> None:
    one = recipe.preset(name)
    assert recipe.from_dict(dataclasses.asdict(one)) == one
    later = {**dataclasses.asdict(one), "a_number_of_a_later_version": 1}
    assert recipe.from_dict(later) == one


def test_the_rate_warms_up_and_falls_and_never_is_nothing() -> None:
    one = dataclasses.replace(
        recipe.preset("default"), learning_rate=1.0, warmup_steps=10, final_share=0.1
    )
    rates = [rate(one, step, 100) for step in range(100)]
    assert rates[0] < rates[5] < rates[9]
    assert max(rates) <= 1.0
    assert max(rates) == pytest.approx(1.0, abs=0.05)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert min(rates) > 0
    assert rate(dataclasses.replace(one, warmup_steps=0), 0, 1) == 1.0
