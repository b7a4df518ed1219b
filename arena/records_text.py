"""The rows of the human-feedback half as frozen dataclasses, as in `records`, and what the Store makes of them.

Prompts have completions; two completions of a prompt make a pair; a label is one annotator's judgement of it.
Labels, scores and rankings are never changed: a row that `undoes` an earlier one takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

TextModelKind = Literal["pretrained", "sft", "reward", "rlhf", "dpo", "imported"]
Split = Literal["train", "test"]
AnnotatorKind = Literal["person", "simulated", "imported"]
Proposer = Literal["random", "uncertainty", "repeat", "import", "rank", "evaluation"]
Choice = Literal["a", "b", "tie", "both_bad", "skip"]
Side = Literal["a", "b"]


@dataclass(frozen=True)
class TextModel:
    """A language or reward model: a directory whose files are blobs (`text_model_files`), never rewritten."""

    name: str
    kind: TextModelKind
    parent: int | None = None
    run: int | None = None
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class Prompt:
    """What a completion continues. Nothing is trained on the prompts of `split` "test"."""

    text: str
    split: Split = "train"
    source: str = ""
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class Demonstration:
    """A good answer to a prompt, for supervised fine-tuning."""

    prompt: int
    response: str
    source: str = ""
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class Completion:
    """What follows a prompt. `model` made it (None: imported), or `run` at its training `step`; `ended`: by itself."""

    prompt: int
    text: str
    ended: bool = True
    model: int | None = None
    run: int | None = None
    step: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class Annotator:
    """Who labels: a person, a rubric (`config` says which, with its noise), or a file."""

    name: str
    kind: AnnotatorKind = "person"
    config: dict[str, Any] = field(default_factory=dict)
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class Pair:
    """Two completions of one prompt with different texts. A hidden repeat is `repeat_of` an earlier pair."""

    prompt: int
    completion_a: int
    completion_b: int
    proposed_by: Proposer = "random"
    repeat_of: int | None = None
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class Label:
    """One annotator's judgement of a pair: which is better, and how clearly (`strength` 2: much better).

    `left` stood on the left (None: unknown, as in imports). Labels of one `ranking` weigh less than one each.
    A row that `undoes` another has no choice. Of an annotator's labels of one pair that are not undone the last counts.
    """

    pair: int
    annotator: int
    choice: Choice | None
    strength: int = 1
    weight: float = 1.0
    left: Side | None = None
    milliseconds: int | None = None
    ranking: int | None = None
    undoes: int | None = None
    id: int = 0
    created_at: int = 0

    def turned(self) -> Label:
        """The same judgement of the same pair with its completions the other way round."""
        other: dict[Any, Any] = {"a": "b", "b": "a"}
        return replace(self, choice=other.get(self.choice, self.choice), left=other.get(self.left))


@dataclass(frozen=True)
class Ranking:
    """Completions of a prompt (`shown`, as they stood) and their `ranks` (1 is best; equal ranks are ties)."""

    prompt: int
    annotator: int
    shown: list[int]
    ranks: list[int]
    milliseconds: int | None = None
    undoes: int | None = None
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class CompletionScore:
    """One annotator's mark for one completion, 1 (worst) to 7; a row that `undoes` another has none."""

    completion: int
    annotator: int
    score: int | None
    milliseconds: int | None = None
    undoes: int | None = None
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class Note:
    """What an annotator wrote down about a prompt, one of its pairs or one of its completions."""

    prompt: int
    annotator: int
    text: str
    pair: int | None = None
    completion: int | None = None
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class Example:
    """A prompt and a good answer to it (not a table: a demonstration with its prompt)."""

    prompt: str
    response: str
    split: Split = "train"
    source: str = ""


@dataclass(frozen=True)
class PairTask:
    """A pair as it is put before an annotator (not a table): who made the completions is not in it.

    `left` is the completion to show on the left. `label` is what this annotator said about it, None: nothing yet.
    """

    pair: int
    prompt: str
    text_a: str
    text_b: str
    left: Side
    label: Label | None = None


@dataclass(frozen=True)
class RankTask:
    """Two to four completions of a prompt with different texts, to be put in order (not a table)."""

    prompt: int
    text: str
    completions: tuple[int, ...]
    texts: tuple[str, ...]
    ranking: Ranking | None = None


@dataclass(frozen=True)
class ScoreTask:
    """One completion, to be marked from 1 to 7 (not a table)."""

    completion: int
    prompt: str
    text: str
    score: int | None = None


@dataclass(frozen=True)
class LabelledPair:
    """A label that counts, with the texts it is about (not a table): what reward models learn from."""

    prompt: str
    text_a: str
    text_b: str
    choice: Choice
    strength: int
    weight: float
    annotator: str
    pair: int
    prompt_id: int
    completion_a: int
    completion_b: int
    split: Split
    proposed_by: Proposer
    repeat_of: int | None
    left: Side | None
    milliseconds: int | None
    ranking: int | None
    label: int
    created_at: int
    model_a: str | None = None
    model_b: str | None = None


@dataclass(frozen=True)
class ScoredCompletion:
    """A score that counts, with the texts it is about (not a table)."""

    prompt: str
    text: str
    score: int
    annotator: str
    completion: int
    prompt_id: int
    split: Split
    milliseconds: int | None
    created_at: int


@dataclass(frozen=True)
class WrittenNote:
    """A note with its annotator's name and its prompt's text (not a table)."""

    annotator: str
    prompt: str
    text: str
    pair: int | None
    completion: int | None
    created_at: int


@dataclass(frozen=True)
class LabelProgress:
    """How far an annotator is (not a table): `done` of `total`; the newest took `seconds` each (None: unknown)."""

    done: int
    total: int
    seconds: float | None = None


@dataclass(frozen=True)
class ImportedPair:
    """A pair from a file, with a label if `choice` is given (not a table).

    `pair` and `repeat_of` are numbers of the league it was exported from: they tell repeats from originals.
    """

    prompt: str
    text_a: str
    text_b: str
    choice: Choice | None = None
    strength: int = 1
    weight: float = 1.0
    left: Side | None = None
    milliseconds: int | None = None
    annotator: str | None = None
    annotator_kind: AnnotatorKind = "imported"
    split: Split = "train"
    proposed_by: Proposer = "import"
    pair: int | None = None
    repeat_of: int | None = None
    model_a: str | None = None
    model_b: str | None = None


@dataclass(frozen=True)
class ImportedScore:
    """A scored completion from a file (not a table)."""

    prompt: str
    text: str
    score: int
    annotator: str | None = None
    annotator_kind: AnnotatorKind = "imported"
    split: Split = "train"
    milliseconds: int | None = None
    model: str | None = None


@dataclass(frozen=True)
class ImportCounts:
    """What an import added (not a table); `known` judgements were there already, word for word.

    Of the labels and scores that were added, `changed` are in place of another one by the same annotator, of the league
    or of an earlier line.
    """

    prompts: int
    completions: int
    pairs: int
    labels: int
    scores: int
    known: int
    changed: int = 0
