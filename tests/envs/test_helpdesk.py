"""The help desk's language: exact probabilities, what is held out, and what the judge says about answers."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from envs import helpdesk
from envs.errors import UsageError
from envs.helpdesk import grammar, posts
from envs.helpdesk.judge import BRIEF_WORDS, judge, topic
from envs.helpdesk.words import CAUSES, DEVICES, HELD_OUT, PAIRS, SYMPTOMS, TRAIN_PAIRS, fitting_fixes, fixes


def every_text(node: str | grammar.Join | grammar.Pick) -> list[tuple[str, float]]:
    """All derivations of a small grammar with their probabilities."""
    if isinstance(node, str):
        return [(node, 1.0)]
    if isinstance(node, grammar.Pick):
        options = zip(node.options, node.probabilities, strict=True)
        return [(text, p * q) for option, p in options for text, q in every_text(option)]
    texts = [("", 1.0)]
    for part in node.parts:
        texts = [(before + after, p * q) for before, p in texts for after, q in every_text(part)]
    return texts


def test_probability_of_an_ambiguous_text_sums_over_its_derivations() -> None:
    node = grammar.Join(
        grammar.weighted((3, "a"), (1, "ab")), grammar.Pick(["", "b", "bb", "b"]), grammar.maybe(0.3, "b")
    )
    exact: Counter[str] = Counter()
    for text, probability in every_text(node):
        exact[text] += probability
    assert math.fsum(exact.values()) == pytest.approx(1)
    for text, probability in exact.items():
        assert math.exp(grammar.log_prob(node, text)) == pytest.approx(probability, rel=1e-12)
    assert grammar.log_prob(node, "ba") == -math.inf


def test_samples_are_as_frequent_as_their_probability_says() -> None:
    node = posts.answer("laptop", "won't turn on")
    draws = grammar.uniforms(np.random.default_rng(0))
    drawn = [grammar.sample(node, draws) for _ in range(4000)]
    # A mean of −ln p over samples is an estimate of the entropy; of 1/p-weighted hits of a set, of the set's size.
    common, count = Counter(drawn).most_common(1)[0]
    expected = 4000 * math.exp(grammar.log_prob(node, common))
    assert abs(count - expected) < 5 * math.sqrt(expected) + 1
    assert all(grammar.log_prob(node, text) > -60 for text in drawn[:200])


def test_the_probabilities_of_an_enumerable_part_sum_to_one() -> None:
    node = posts.prompt("phone", "won't charge")
    texts = {text for text, _ in every_text(node)}
    assert math.fsum(math.exp(grammar.log_prob(node, text)) for text in texts) == pytest.approx(1)


def test_posts_differ_are_repeatable_and_have_a_finite_probability() -> None:
    first = helpdesk.sample_posts(3000, seed=4)
    assert len(set(first)) == 3000
    assert helpdesk.sample_posts(1000, seed=4) == first[:1000]
    assert helpdesk.sample_posts(1000, seed=5) != first[:1000]
    assert all(math.isfinite(helpdesk.post_log_prob(post)) for post in first[:100])
    assert helpdesk.post_log_prob(first[0] + " ") == -math.inf


def test_an_exhausted_language_is_an_error_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "prompt", lambda device, symptom: grammar.Join("only this"))
    with pytest.raises(UsageError, match="at most 1"):
        helpdesk.prompts("train", 2, seed=0)


def test_held_out_pairs_are_in_test_prompts_and_nowhere_else() -> None:
    assert set(PAIRS) == set(TRAIN_PAIRS) | HELD_OUT
    assert len(HELD_OUT) >= 15
    for device, symptom in HELD_OUT:  # each half is well known from other pairs
        assert sum(pair[0] == device for pair in TRAIN_PAIRS) >= 3
        assert sum(pair[1] == symptom for pair in TRAIN_PAIRS) >= 2
    assert {topic(prompt) for prompt in helpdesk.prompts("test", 600, seed=0)} == set(HELD_OUT)
    assert {topic(prompt) for prompt in helpdesk.prompts("train", 3000, seed=0)} == set(TRAIN_PAIRS)


def test_no_post_names_a_held_out_pair_in_one_sentence() -> None:
    for post in helpdesk.sample_posts(4000, seed=0):
        for sentence in post.replace("?", ".").replace("!", ".").replace(":", ".").split("."):
            named = {device for device in DEVICES if f"{device} " in sentence + " "}
            named |= {device for device, entry in DEVICES.items() if entry.plural in sentence}
            for symptom, entry in SYMPTOMS.items():
                if f" {symptom}" in sentence or f" {entry.plural} " in f"{sentence} ":
                    assert not {(device, symptom) for device in named} & HELD_OUT, sentence


def test_the_lecture_prompt_is_a_prompt_and_every_pair_has_a_fix() -> None:
    assert topic(helpdesk.LECTURE_PROMPT) == ("laptop", "won't turn on")
    assert math.isfinite(grammar.log_prob(posts.prompt("laptop", "won't turn on"), helpdesk.LECTURE_PROMPT))
    assert all(fitting_fixes(*pair) for pair in PAIRS)


def test_a_question_goes_on_in_the_askers_voice_and_never_answers() -> None:
    going_on = [post for post in helpdesk.sample_posts(4000, seed=1) if not post.startswith(("reply", "tip"))]
    every_fix = {fix for device in DEVICES for cause in CAUSES for fix in fixes(device, cause)}
    assert len(going_on) > 2000
    assert not [post for post in going_on if any(fix in post for fix in every_fix)]


PROMPT = "my laptop won't turn on, what should I do?"


@pytest.mark.parametrize(
    ("completion", "true", "false"),
    [
        ("please try another charger.", "fix_fits names_fix polite brief finished", "wrong_device rude asks"),
        ("try another battery.", "names_fix brief", "fix_fits wrong_device polite"),
        ("with a camera try another charger.", "names_fix wrong_device", "fix_fits"),
        ("clean the fan.", "names_fix", "fix_fits"),
        ("what a silly question. please check the charger.", "fix_fits rude", "polite"),
        ("did that help?", "asks brief finished", "names_fix fix_fits"),
        ("Sorry to hear that. Check the charger", "fix_fits polite", "finished"),
        ("laptops never work", "", "wrong_device finished names_fix"),
        ("update the printer driver.", "names_fix", "wrong_device fix_fits"),
        ("", "", "brief polite names_fix fix_fits"),
        (" ".join(["word"] * (BRIEF_WORDS + 1)) + ".", "finished", "brief"),
    ],
)
def test_judge(completion: str, true: str, false: str) -> None:
    facts = judge(PROMPT, completion)
    assert {name for name in (true + " " + false).split() if getattr(facts, name)} == set(true.split())
    assert facts.words == len(completion.split())


def test_judge_knows_nothing_of_other_prompts() -> None:
    facts = judge("what is the capital of France?", "please check the charger.")
    assert (facts.device, facts.symptom, facts.fix_fits, facts.polite) == (None, None, False, True)
    assert topic("my camera leaves stains on the paper") == ("camera", None)


def test_every_fitting_fix_is_recognised_and_no_other_device_is_heard_in_it() -> None:
    for device, symptom in PAIRS:
        for fix in fitting_fixes(device, symptom):
            facts = judge(f"my {device} {symptom}, what should I do?", f"you could {fix}.")
            assert facts.fix_fits, (device, symptom, fix, facts)


def test_demonstrations_are_mixed_so_that_there_is_something_to_prefer() -> None:
    facts = [judge(*pair) for pair in helpdesk.demonstrations(3000, seed=0)]
    share = {
        name: sum(getattr(each, name) for each in facts) / 3000 for name in ("fix_fits", "polite", "brief", "asks")
    }
    assert 0.5 < share["fix_fits"] < 0.7
    assert 0.3 < share["polite"] < 0.5
    assert 0.5 < share["brief"] < 0.75
    assert 0.05 < share["asks"] < 0.2
    assert sum(each.fix_fits and each.polite and each.brief for each in facts) / 3000 < 0.25
    assert all(each.finished for each in facts)
