-- Two hours (and five minutes ahead, for the length of a test) of two replicas that have done something, so that the charts have a shape and the lists have lines: a slow wave, a
-- burst of publishes twenty minutes ago that was worked off within ten, and failures in its wake.
INSERT INTO activity (at, replica, namespace, goal, published, claimed, fulfilled, failed, dead, waited, worked, took)
SELECT
    at, replica, namespace, goal,
    (share * (wave + burst * 90))::bigint,
    (share * (wave + worked_off * 45))::bigint,
    (share * (wave * 0.97 + worked_off * 43))::bigint,
    CASE WHEN goal = 'sync-crm' THEN (wave * 0.2 + worked_off * 9)::bigint ELSE 0 END,
    CASE WHEN goal = 'sync-crm' THEN (worked_off * 2)::bigint ELSE 0 END,
    ARRAY[0, 1, 4, 12, 30, 22, 14, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0]::bigint[],
    ARRAY[0, 0, 0, 1, 2, 6, 14, 30, 26, 12, 6, 2, 1, 0, 0, 0, 0]::bigint[],
    ARRAY[0, 0, 0, 0, 1, 4, 10, 24, 30, 18, 9, 4, 2, 1, 0, 0, 0]::bigint[]
FROM (
    SELECT
        to_timestamp(floor(extract(epoch FROM clock_timestamp()) / 10) * 10 - 10 * step) AS at,
        60 + 25 * sin(step / 40.0) + 12 * sin(step / 7.0) + 9 * random() AS wave,
        CASE WHEN step BETWEEN 110 AND 125 THEN 1 ELSE 0 END AS burst,
        CASE WHEN step BETWEEN 80 AND 125 THEN 1 ELSE 0 END AS worked_off
    FROM generate_series(-30, 719) AS step
) AS steps
CROSS JOIN (VALUES ('00000000-0000-4000-8000-000000000001'::uuid), ('00000000-0000-4000-8000-000000000002'::uuid)) AS replicas (replica)
CROSS JOIN (VALUES ('default', 'resize-image', 0.6), ('default', 'send-mail', 0.25), ('default', 'sync-crm', 0.15)) AS goals (namespace, goal, share);

INSERT INTO replicas (id, host, version, started_at, seen_at) VALUES
    ('00000000-0000-4000-8000-000000000001', 'bus-7d9f6-x2k4p', '0.1.0', clock_timestamp() - interval '3 days 4 hours', clock_timestamp() + interval '20 minutes'),
    ('00000000-0000-4000-8000-000000000002', 'bus-7d9f6-q8m1z', '0.1.0', clock_timestamp() - interval '3 days 4 hours', clock_timestamp() - interval '6 minutes');
