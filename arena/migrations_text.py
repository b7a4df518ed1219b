"""The part of the schema that is about text: models, prompts, completions, and what people say of them."""

from __future__ import annotations

TABLES = (
    """CREATE TABLE text_models (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL CHECK (kind IN ('pretrained', 'sft', 'reward', 'rlhf', 'dpo', 'imported')),
        parent INTEGER REFERENCES text_models,
        run INTEGER REFERENCES runs,
        created_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX text_models_parent ON text_models (parent)",
    "CREATE INDEX text_models_run ON text_models (run)",
    """CREATE TABLE text_model_files (
        model INTEGER NOT NULL REFERENCES text_models,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL REFERENCES checkpoints,
        PRIMARY KEY (model, name)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX text_model_files_sha256 ON text_model_files (sha256)",
    """CREATE TABLE prompts (
        id INTEGER PRIMARY KEY,
        text TEXT NOT NULL UNIQUE,
        split TEXT NOT NULL CHECK (split IN ('train', 'test')),
        source TEXT NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX prompts_split ON prompts (split)",
    """CREATE TABLE demonstrations (
        id INTEGER PRIMARY KEY,
        prompt INTEGER NOT NULL REFERENCES prompts,
        response TEXT NOT NULL,
        source TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        UNIQUE (prompt, response)
    ) STRICT""",
    """CREATE TABLE completions (
        id INTEGER PRIMARY KEY,
        prompt INTEGER NOT NULL REFERENCES prompts,
        text TEXT NOT NULL,
        ended INTEGER NOT NULL CHECK (ended IN (0, 1)),
        model INTEGER REFERENCES text_models,
        run INTEGER REFERENCES runs,
        step INTEGER,
        temperature REAL,
        top_k INTEGER,
        top_p REAL,
        seed INTEGER,
        created_at INTEGER NOT NULL,
        UNIQUE (id, prompt),
        CHECK ((run IS NULL) = (step IS NULL))
    ) STRICT""",
    "CREATE INDEX completions_prompt ON completions (prompt)",
    "CREATE INDEX completions_model ON completions (model)",
    "CREATE INDEX completions_run ON completions (run, step) WHERE run IS NOT NULL",
    """CREATE TABLE annotators (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL CHECK (kind IN ('person', 'simulated', 'imported')),
        config TEXT NOT NULL CHECK (json_valid(config)),
        created_at INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE pairs (
        id INTEGER PRIMARY KEY,
        prompt INTEGER NOT NULL REFERENCES prompts,
        completion_a INTEGER NOT NULL,
        completion_b INTEGER NOT NULL,
        proposed_by TEXT NOT NULL
            CHECK (proposed_by IN ('random', 'uncertainty', 'repeat', 'import', 'rank', 'evaluation')),
        repeat_of INTEGER REFERENCES pairs,
        created_at INTEGER NOT NULL,
        FOREIGN KEY (completion_a, prompt) REFERENCES completions (id, prompt),
        FOREIGN KEY (completion_b, prompt) REFERENCES completions (id, prompt),
        CHECK (completion_a <> completion_b),
        CHECK ((proposed_by = 'repeat') = (repeat_of IS NOT NULL))
    ) STRICT""",
    "CREATE UNIQUE INDEX pairs_once ON pairs (completion_a, completion_b) WHERE repeat_of IS NULL",
    "CREATE INDEX pairs_prompt ON pairs (prompt)",
    "CREATE INDEX pairs_proposed_by ON pairs (proposed_by)",
    "CREATE INDEX pairs_repeat_of ON pairs (repeat_of) WHERE repeat_of IS NOT NULL",
    """CREATE TABLE rankings (
        id INTEGER PRIMARY KEY,
        prompt INTEGER NOT NULL REFERENCES prompts,
        annotator INTEGER NOT NULL REFERENCES annotators,
        shown TEXT NOT NULL CHECK (json_valid(shown)),
        ranks TEXT NOT NULL CHECK (json_valid(ranks)),
        milliseconds INTEGER CHECK (milliseconds >= 0),
        undoes INTEGER UNIQUE REFERENCES rankings,
        created_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX rankings_annotator ON rankings (annotator, prompt)",
    "CREATE INDEX rankings_newest ON rankings (annotator)",
    """CREATE TABLE labels (
        id INTEGER PRIMARY KEY,
        pair INTEGER NOT NULL REFERENCES pairs,
        annotator INTEGER NOT NULL REFERENCES annotators,
        choice TEXT CHECK (choice IN ('a', 'b', 'tie', 'both_bad', 'skip')),
        strength INTEGER NOT NULL CHECK (strength IN (1, 2)),
        weight REAL NOT NULL CHECK (weight > 0),
        left TEXT CHECK (left IN ('a', 'b')),
        milliseconds INTEGER CHECK (milliseconds >= 0),
        ranking INTEGER REFERENCES rankings,
        undoes INTEGER UNIQUE REFERENCES labels,
        created_at INTEGER NOT NULL,
        CHECK ((choice IS NULL) = (undoes IS NOT NULL))
    ) STRICT""",
    "CREATE INDEX labels_annotator ON labels (annotator, pair)",
    "CREATE INDEX labels_newest ON labels (annotator)",
    "CREATE INDEX labels_pair ON labels (pair)",
    "CREATE INDEX labels_ranking ON labels (ranking) WHERE ranking IS NOT NULL",
    """CREATE TABLE scores (
        id INTEGER PRIMARY KEY,
        completion INTEGER NOT NULL REFERENCES completions,
        annotator INTEGER NOT NULL REFERENCES annotators,
        score INTEGER CHECK (score BETWEEN 1 AND 7),
        milliseconds INTEGER CHECK (milliseconds >= 0),
        undoes INTEGER UNIQUE REFERENCES scores,
        created_at INTEGER NOT NULL,
        CHECK ((score IS NULL) = (undoes IS NOT NULL))
    ) STRICT""",
    "CREATE INDEX scores_annotator ON scores (annotator, completion)",
    "CREATE INDEX scores_newest ON scores (annotator)",
    "CREATE INDEX scores_completion ON scores (completion)",
    """CREATE TABLE notes (
        id INTEGER PRIMARY KEY,
        prompt INTEGER NOT NULL REFERENCES prompts,
        pair INTEGER REFERENCES pairs,
        completion INTEGER REFERENCES completions,
        annotator INTEGER NOT NULL REFERENCES annotators,
        text TEXT NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX notes_prompt ON notes (prompt)",
    "CREATE INDEX notes_pair ON notes (pair)",
    "CREATE INDEX notes_completion ON notes (completion)",
)

FACTS = (
    "text_models",
    "text_model_files",
    "prompts",
    "demonstrations",
    "completions",
    "annotators",
    "pairs",
    "rankings",
    "labels",
    "scores",
    "notes",
)
"""The tables whose rows are only ever added."""
