-- Clean windows of recordings with one label each, split as their data set publishes it (tuab by default)
-- :param dataset=tuab data sets to take, '*' for anything
-- :param seconds=10 length of a window
-- :param stride_s=10 seconds from one window's start to the next
SELECT w.recording_id, w.start, w.seconds, r.label, r.official_split AS split
FROM windows($seconds, $stride_s) AS w
JOIN recordings AS r USING (recording_id, profile)
WHERE r.dataset GLOB $dataset
    AND r.label IS NOT NULL
    AND r.official_split IS NOT NULL
    AND clean(w.recording_id, w.start, w.seconds)
