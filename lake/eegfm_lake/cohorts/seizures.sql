-- Windows that touch a seizure, and windows of background alone, from everything that was looked through
-- A window that is only in part marked as either is left out: nobody says what the rest is.
-- :param dataset=* data sets to take, '*' for anything
-- :param seconds=10 length of a window
-- :param stride_s=10 seconds from one window's start to the next
WITH marked AS (
    SELECT w.recording_id, w.start, w.seconds, e.label,
        least(e.onset_s + e.duration_s, w.start + w.seconds) - greatest(e.onset_s, w.start) AS shared_s
    FROM windows($seconds, $stride_s) AS w
    JOIN events AS e USING (recording_id, profile)
    WHERE w.dataset GLOB $dataset AND e.label IN ('seizure', 'background')
)
SELECT recording_id, start, seconds,
    CASE WHEN bool_or(label = 'seizure') THEN 'seizure' ELSE 'background' END AS label
FROM marked
WHERE shared_s > 0
GROUP BY recording_id, start, seconds
HAVING sum(shared_s) > seconds - 0.01
