-- Readings and streaks follow from the events up to this row. A run draws them when it ends, and with them those of runs
-- that were killed.
CREATE TABLE drawn (row INTEGER NOT NULL) STRICT;
INSERT INTO drawn SELECT coalesce(max(id), 0) FROM events;
