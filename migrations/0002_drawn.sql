-- Readings and streaks follow from the events up to this row. What the runs behind it have seen is drawn when it is asked for.
CREATE TABLE drawn (row INTEGER NOT NULL) STRICT;
INSERT INTO drawn SELECT coalesce(max(id), 0) FROM events;
