CREATE SCHEMA extra;
COMMENT ON SCHEMA extra IS 'it''s';
CREATE TYPE extra.mood AS ENUM ('x', 'y;z');
CREATE DOMAIN extra.small AS int CHECK (VALUE < 10);
CREATE SEQUENCE extra.s;
CREATE TABLE extra.k (
    a int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b int GENERATED ALWAYS AS (1 + 1) STORED,
    c jsonb DEFAULT '{"a": 1}', d bytea, e extra.mood, "odd ""name" text DEFAULT E'a\\nb', f extra.small
);
INSERT INTO extra.k (d, e, "odd ""name") VALUES ('\x00', 'y;z', E'tab\t\\.\nline'), (NULL, NULL, '\.');
CREATE TABLE extra.parts (a int, b date) PARTITION BY RANGE (b);
CREATE TABLE extra.part PARTITION OF extra.parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE MATERIALIZED VIEW extra.m AS SELECT count(*) FROM customer;
CREATE INDEX ON customer (lower(name));
CREATE VIEW extra.v AS SELECT a FROM extra.k;
CREATE RULE r AS ON INSERT TO extra.v DO INSTEAD (INSERT INTO note VALUES (NEW.a, 'x'); DELETE FROM note WHERE id = -1);
CREATE FUNCTION extra.sql(a int) RETURNS int LANGUAGE sql
    BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 2 ELSE 3 END; SELECT 4; END;
CREATE FUNCTION extra.fire() RETURNS trigger LANGUAGE plpgsql
    AS $body$ BEGIN EXECUTE $$ SELECT ';' $$; RETURN NEW; END $body$;
CREATE TRIGGER fire BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION extra.fire();
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON note USING (id > 0);
GRANT SELECT (id, body), UPDATE (body) ON note TO PUBLIC;
GRANT USAGE ON SCHEMA extra TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA extra GRANT SELECT ON TABLES TO PUBLIC;
CREATE STATISTICS extra.st ON a, b FROM extra.k;
CREATE AGGREGATE extra.total(int) (SFUNC = int4pl, STYPE = int);
CREATE OPERATOR extra.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
SELECT lo_from_bytea(0, 'large');
