-- Offboardings, their logs, the requests that started them and the facets by which they are found.
--
-- Moments are integer microseconds since 1970 in UTC, identifiers the 16 bytes of the UUID in network
-- order (they compare as PostgreSQL's uuid does). Business moments (created, updated, due, at) follow
-- the partner's business clock; claim_expires follows the database's clock.
--
-- Policy: expand first, contract one release later. A migration only adds (tables, nullable or
-- defaulted columns, indexes), so that the binary before it goes on working beside it. Whatever takes
-- away raises schema_support.oldest_supported to the first schema whose binary no longer needs it.

CREATE TABLE schema_support (
    -- The one row.
    only_row         INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    -- The oldest schema version that a binary must have been built for to work on this database.
    oldest_supported INTEGER NOT NULL
) STRICT;

INSERT INTO schema_support (only_row, oldest_supported) VALUES (1, 1);

CREATE TABLE offboardings (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    partner          BLOB    NOT NULL CHECK (length(partner) = 16),
    customer         BLOB    NOT NULL CHECK (length(customer) = 16),
    caller           TEXT    NOT NULL,
    created          INTEGER NOT NULL,
    updated          INTEGER NOT NULL,
    state            TEXT    NOT NULL,
    ended            INTEGER NOT NULL CHECK (ended IN (0, 1)),
    removal_seen     INTEGER NOT NULL CHECK (removal_seen IN (0, 1)),
    -- When the worker has to look next; null: never again.
    due              INTEGER,
    waiting_on       TEXT,
    -- Sequence of the newest event, and of the newest control event.
    sequence         INTEGER NOT NULL,
    control_sequence INTEGER NOT NULL DEFAULT 0,
    -- Hash of the newest event.
    head             BLOB    NOT NULL CHECK (length(head) = 32),
    -- Raised by every claim: it names the claim. Without an expiry nobody holds the row.
    fence            INTEGER NOT NULL DEFAULT 0,
    claim_expires    INTEGER,
    format           INTEGER NOT NULL,
    -- Reasons of the standing blockers, a sorted JSON array; the facets follow it by trigger.
    blockers         TEXT    NOT NULL DEFAULT '[]',
    -- Long, hence last: the columns before it are read without its overflow pages.
    fold             TEXT    NOT NULL
) STRICT;

-- At most one unfinished offboarding of a partner's customer.
CREATE UNIQUE INDEX offboardings_unfinished ON offboardings (partner, customer) WHERE ended = 0;
-- The worker's queue. What is never due again is not in it, so finished rows cost nothing.
CREATE INDEX offboardings_due ON offboardings (partner, due) WHERE due IS NOT NULL;
CREATE INDEX offboardings_claimed ON offboardings (partner) WHERE claim_expires IS NOT NULL;
-- Lists, newest first.
CREATE INDEX offboardings_created ON offboardings (created, id);
CREATE INDEX offboardings_by_customer ON offboardings (customer, created, id);
CREATE INDEX offboardings_by_state ON offboardings (state, created, id);
CREATE INDEX offboardings_by_waiting ON offboardings (waiting_on, created, id)
    WHERE waiting_on IS NOT NULL;

CREATE TABLE events (
    offboarding BLOB    NOT NULL REFERENCES offboardings (id),
    sequence    INTEGER NOT NULL CHECK (sequence > 0),
    at          INTEGER NOT NULL,
    format      INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    hash        BLOB    NOT NULL CHECK (length(hash) = 32),
    text        TEXT    NOT NULL,
    PRIMARY KEY (offboarding, sequence)
) STRICT;

-- The log is append-only. Retention deletes logs of ended offboardings, and nothing deletes others.
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only');
END;

CREATE TRIGGER events_of_unfinished_offboardings_stay BEFORE DELETE ON events
WHEN EXISTS (SELECT 1 FROM offboardings WHERE id = OLD.offboarding AND ended = 0)
BEGIN
    SELECT RAISE(ABORT, 'the log of an unfinished offboarding stays');
END;

-- No foreign key: a request is remembered for a time of its own, even after its offboarding is gone.
CREATE TABLE request_ids (
    caller      TEXT    NOT NULL,
    request     BLOB    NOT NULL CHECK (length(request) = 16),
    offboarding BLOB    NOT NULL CHECK (length(offboarding) = 16),
    digest      BLOB    NOT NULL CHECK (length(digest) = 32),
    created     INTEGER NOT NULL,
    PRIMARY KEY (caller, request)
) STRICT, WITHOUT ROWID;

-- kind 'label' (key, value), 'reference' (system, id), 'blocker' (reason, empty).
CREATE TABLE facets (
    kind        TEXT NOT NULL CHECK (kind IN ('label', 'reference', 'blocker')),
    name        TEXT NOT NULL,
    value       TEXT NOT NULL,
    offboarding BLOB NOT NULL REFERENCES offboardings (id) ON DELETE CASCADE,
    PRIMARY KEY (kind, name, value, offboarding)
) STRICT, WITHOUT ROWID;

CREATE INDEX facets_of_offboarding ON facets (offboarding, kind);

-- Most appends leave the blockers as they are: only a change touches the facets.
CREATE TRIGGER facets_of_new_blockers AFTER INSERT ON offboardings
WHEN NEW.blockers <> '[]'
BEGIN
    INSERT OR IGNORE INTO facets (kind, name, value, offboarding)
    SELECT 'blocker', value, '', NEW.id FROM json_each(NEW.blockers);
END;

CREATE TRIGGER facets_of_changed_blockers AFTER UPDATE OF blockers ON offboardings
WHEN OLD.blockers <> NEW.blockers
BEGIN
    DELETE FROM facets WHERE offboarding = NEW.id AND kind = 'blocker';
    INSERT OR IGNORE INTO facets (kind, name, value, offboarding)
    SELECT 'blocker', value, '', NEW.id FROM json_each(NEW.blockers);
END;
