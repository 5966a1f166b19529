-- The locks and their queue: rows that are held, and rows that wait. Times are the server's.
BEGIN;
-- Two servers of ours may come at once.
SELECT pg_advisory_xact_lock(8241927405);
CREATE TABLE IF NOT EXISTS rr_lock (
    ticket text PRIMARY KEY,
    resource text NOT NULL,
    id text NOT NULL,
    shared boolean NOT NULL,
    held boolean NOT NULL,
    -- The fencing token of what is held, the place of what waits.
    number bigint NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS rr_lock_resource ON rr_lock (resource);
CREATE SEQUENCE IF NOT EXISTS rr_lock_number;

-- Who is next: a reader that wants to write, else who came first.
CREATE OR REPLACE FUNCTION rr_lock_first_1(a_resource text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT w.ticket FROM rr_lock w WHERE w.resource = a_resource AND NOT w.held
    ORDER BY (NOT w.shared AND w.id <> '' AND EXISTS (
        SELECT FROM rr_lock h WHERE h.resource = a_resource AND h.held AND h.shared AND h.id = w.id
    )) DESC, w.number LIMIT 1
$$;

CREATE OR REPLACE FUNCTION rr_lock_1(
    operation text, a_resource text, mode text, a_ticket text, a_id text, a_shared boolean, ttl bigint, stay bigint,
    OUT yes boolean, OUT amount bigint
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    t timestamptz;
    held_count bigint;
    all_shared boolean;
    reads boolean;
    next text;
BEGIN
    -- One at a time for each resource, so that numbers grow with the grants.
    PERFORM pg_advisory_xact_lock(hashtextextended(a_resource, 8241927405));
    t := clock_timestamp();
    DELETE FROM rr_lock l WHERE l.resource = a_resource AND l.until <= t;
    yes := false;
    amount := -1;
    IF operation = 'attempt' THEN
        SELECT l.number INTO amount FROM rr_lock l WHERE l.ticket = a_ticket AND l.held;
        IF FOUND THEN
            yes := true;
            RETURN;
        END IF;
        amount := -1;
        SELECT count(*), coalesce(bool_and(l.shared), true), coalesce(bool_or(l.shared AND l.id = a_id AND a_id <> ''), false)
            INTO held_count, all_shared, reads FROM rr_lock l WHERE l.resource = a_resource AND l.held;
        reads := reads AND all_shared;
        next := rr_lock_first_1(a_resource);
        IF (next IS NULL OR next = a_ticket OR (NOT a_shared AND reads))
            AND (held_count = 0 OR (all_shared AND (a_shared OR (held_count = 1 AND reads))))
        THEN
            IF NOT a_shared THEN
                DELETE FROM rr_lock l WHERE l.resource = a_resource AND l.held;
            END IF;
            yes := true;
            amount := nextval('rr_lock_number');
            INSERT INTO rr_lock VALUES
                (a_ticket, a_resource, a_id, a_shared, true, amount, t + ttl * interval '1 microsecond')
                ON CONFLICT (ticket) DO UPDATE SET held = true, number = excluded.number, until = excluded.until;
        ELSE
            IF stay > 0 THEN
                INSERT INTO rr_lock VALUES (
                    a_ticket, a_resource, a_id, a_shared, false, nextval('rr_lock_number'),
                    t + stay * interval '1 microsecond'
                ) ON CONFLICT (ticket) DO UPDATE SET until = excluded.until;
            END IF;
            -- When the next lock expires, for who is next then.
            IF rr_lock_first_1(a_resource) = a_ticket THEN
                SELECT ceil(extract(epoch FROM min(l.until) - t) * 1000000) INTO amount
                    FROM rr_lock l WHERE l.resource = a_resource AND l.held;
            END IF;
            RETURN;
        END IF;
        -- What nobody has asked for again.
        IF random() < 0.001 THEN
            DELETE FROM rr_lock WHERE ticket IN (
                SELECT l.ticket FROM rr_lock l WHERE l.until < t - interval '1 hour' LIMIT 1000 FOR UPDATE SKIP LOCKED
            );
        END IF;
    ELSIF operation = 'release' THEN
        DELETE FROM rr_lock d WHERE d.ticket IN (
            SELECT l.ticket FROM rr_lock l WHERE l.resource = a_resource AND l.held
                AND (mode = 'all' OR (mode = 'ticket' AND l.ticket = a_ticket) OR (mode = 'id' AND l.id = a_id))
            ORDER BY l.number DESC LIMIT CASE WHEN mode = 'id' THEN 1 END
        );
        yes := FOUND;
        IF mode = 'ticket' THEN
            DELETE FROM rr_lock l WHERE l.ticket = a_ticket;
        END IF;
    ELSIF operation = 'extend' THEN
        UPDATE rr_lock l SET until = t + ttl * interval '1 microsecond' WHERE l.resource = a_resource AND l.held
            AND (mode = 'all' OR (mode = 'ticket' AND l.ticket = a_ticket) OR (mode = 'id' AND l.id = a_id));
        yes := FOUND;
    ELSE
        SELECT ceil(extract(epoch FROM max(l.until) - t) * 1000000) INTO amount FROM rr_lock l
            WHERE l.resource = a_resource AND l.held
            AND (mode = 'all' OR (mode = 'ticket' AND l.ticket = a_ticket) OR (mode = 'id' AND l.id = a_id));
        yes := amount IS NOT NULL;
        amount := coalesce(amount, -1);
        RETURN;
    END IF;
    -- Whoever is next asks again, and learns until when it has to wait.
    next := rr_lock_first_1(a_resource);
    IF next IS NOT NULL THEN
        PERFORM pg_notify('rr_lock', next);
    END IF;
END
$$;
COMMIT;
