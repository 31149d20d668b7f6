-- The record of all runs. Only `events` is the record; the other tables are drawn from it and can be made again.

PRAGMA application_id = 1869640547; -- "opsc"

-- A chain: hash = SHA-256 of (hash of the row before, newline, run, newline, event) in lower-case hexadecimal;
-- before the first row stand 64 zeros.
CREATE TABLE events (
    id    INTEGER PRIMARY KEY AUTOINCREMENT, -- the place in the chain: 1, 2, 3, ... without gaps
    run   TEXT NOT NULL,
    seq   INTEGER NOT NULL,                  -- the place in the run: 1, 2, 3, ... without gaps
    event TEXT NOT NULL,                     -- JSON, the very text that was hashed
    hash  TEXT NOT NULL,
    UNIQUE (run, seq)
) STRICT;

CREATE TABLE runs (
    id         TEXT PRIMARY KEY, -- sorts by time
    started    TEXT NOT NULL,
    site       TEXT NOT NULL,
    command    TEXT NOT NULL,
    operator   TEXT NOT NULL,
    host       TEXT NOT NULL,
    procedures TEXT NOT NULL,    -- JSON list of group/procedure
    outcome    TEXT,             -- these three are empty until the run finishes
    exit       INTEGER,
    finished   TEXT
) STRICT, WITHOUT ROWID;

-- Every number that a step saw. What a step saw in one run lies together, so that a run writes few pages.
CREATE TABLE readings (
    procedure TEXT NOT NULL,
    step      TEXT NOT NULL,
    fact      TEXT NOT NULL,
    subject   TEXT NOT NULL,
    at        TEXT NOT NULL,
    run       TEXT NOT NULL REFERENCES runs (id),
    value     REAL NOT NULL, -- in base units: bytes, seconds, percent points, events a minute
    unit      TEXT NOT NULL,
    outcome   TEXT NOT NULL, -- of the subject
    PRIMARY KEY (procedure, step, at, run, fact, subject)
) STRICT, WITHOUT ROWID;

-- Since when each step has had the outcome that it has.
CREATE TABLE streaks (
    procedure TEXT NOT NULL,
    step      TEXT NOT NULL,
    outcome   TEXT NOT NULL,
    began     TEXT NOT NULL,
    PRIMARY KEY (procedure, step)
) STRICT, WITHOUT ROWID;
