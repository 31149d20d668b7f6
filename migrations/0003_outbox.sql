-- Who is to be told, and when. Both tables are drawn from the events.

-- The rungs of the escalations above the first one of each ladder.
CREATE TABLE timers (
    run     TEXT NOT NULL,
    message TEXT NOT NULL,
    due     TEXT NOT NULL,
    state   TEXT NOT NULL, -- waiting, queued, stopped (acknowledged or resolved), ended (with the run)
    PRIMARY KEY (run, message)
) STRICT, WITHOUT ROWID;

CREATE INDEX timers_by_state ON timers (state, due);

CREATE TABLE outbox (
    run       TEXT NOT NULL,
    id        TEXT NOT NULL,
    recipient TEXT NOT NULL, -- a role
    channel   TEXT NOT NULL,
    address   TEXT,
    text      TEXT NOT NULL,
    severity  TEXT,
    deadline  TEXT,
    queued    TEXT NOT NULL,
    state     TEXT NOT NULL, -- queued, sent, by_hand, failed, waiting
    detail    TEXT,
    at        TEXT,          -- of the newest word on it
    PRIMARY KEY (run, id)
) STRICT, WITHOUT ROWID;
