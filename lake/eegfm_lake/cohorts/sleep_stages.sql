-- Epochs of 30 s with their sleep stage, from half an hour before sleep to half an hour after it
-- Recordings without such a stretch (event protocol/sleep_period) give all epochs: a night in a clinic is no day.
-- :param dataset=* data sets to take, '*' for anything
-- :param whole=0 1 takes the wake of the whole day
WITH periods AS (
    SELECT recording_id, profile, onset_s AS first_s, onset_s + duration_s AS stop_s
    FROM events
    WHERE label = 'protocol/sleep_period'
)
SELECT t.recording_id, t.start, t.seconds, t.label
FROM trials('sleep', 0, 30) AS t
LEFT JOIN periods AS p USING (recording_id, profile)
WHERE t.dataset GLOB $dataset
    AND ($whole = 1 OR p.first_s IS NULL OR (t.start >= p.first_s AND t.start + t.seconds <= p.stop_s))
