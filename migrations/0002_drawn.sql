-- Readings and streaks follow from the events up to this row. A run draws at its start what the runs before it have seen.
CREATE TABLE drawn (row INTEGER NOT NULL) STRICT;
INSERT INTO drawn SELECT coalesce(max(id), 0) FROM events;
