"""A prompt under the lens: what training changed, token by token, layer by layer, and where the reward comes from."""

from __future__ import annotations

from agents import lens
from agents.tokenizer import encode_completion, encode_prompt
from arena.records_lens import LayerTable, Look, RewardParts
from arena.store import Store
from arena.text_models import Shelf, complete, same_tokens

TOP = 8


def look_inside(
    store: Store,
    prompt: str,
    model_name: str,
    reference_name: str,
    reward_model: str | None,
    max_new_tokens: int = 64,
    answer: str | None = None,
    shelf: Shelf | None = None,
) -> Look:
    """The model's greedy answer (or the one given) under the lens of both models and of the reward model.

    Rewards are taken apart in models of the GPT-2 and GPT-NeoX families only. With a
    `shelf` its models are used, and those that are not there yet are put there.
    """
    shelf = shelf or Shelf()
    model, reference = shelf.text(store, model_name), shelf.text(store, reference_name)
    same_tokens(model, reference, model_name, reference_name)
    text, ended = complete(model, [prompt], max_new_tokens, greedy=True)[0] if answer is None else (answer, True)
    head = encode_prompt(model.tokenizer, prompt)
    tail = encode_completion(model.tokenizer, text, end=ended)[: model.n_ctx - len(head)]
    ratios = lens.log_ratios(model, reference, head, tail)
    tables = [
        LayerTable(name, lens.logit_lens(each, head, tail))
        for name, each in ((reference_name, reference), (model_name, model))
    ]
    parts = None
    if reward_model is not None:
        rewarder = shelf.reward(store, reward_model)
        same_tokens(model, rewarder.model, model_name, reward_model)
        if rewarder.model.weights() is not None:
            parts = _parts(reward_model, lens.attribute_reward(rewarder, head, tail))
    words = lens.token_texts(model, tail)
    return Look(prompt, model_name, reference_name, text, list(zip(words, ratios, strict=True)), tables, parts)


def _parts(name: str, found: lens.Attribution) -> RewardParts:
    by_head = found.heads.sum(2)
    ranked = by_head.abs().flatten().argsort(descending=True)[:TOP].tolist()
    places = [divmod(index, by_head.shape[1]) for index in ranked]
    by_token = found.heads.sum((0, 1)).tolist()
    return RewardParts(
        model=name,
        reward=found.reward,
        heads=[(layer, head, float(by_head[layer, head])) for layer, head in places],
        tokens=list(zip(found.tokens, by_token, strict=True)),
        mlps=found.mlps.tolist(),
        embedding=found.embedding,
        rest=found.rest,
    )
