-- Rest or mental arithmetic in eegmat, split by people as published: 28 to train, 4 to choose, 4 to test
-- Subject00 to 27, 28 to 31, 32 to 35, as CBraMod and CSBrain report it. Windows need not be clean: theirs were not.
-- :param seconds=5 length of a window
-- :param stride_s=5 seconds from one window's start to the next
WITH numbered AS (
    SELECT recording_id, profile, label, CAST(regexp_extract(person, '(\d+)$', 1) AS INTEGER) AS number
    FROM recordings
    WHERE dataset = 'eegmat'
)
SELECT w.recording_id, w.start, w.seconds, n.label,
    CASE WHEN n.number < 28 THEN 'train' WHEN n.number < 32 THEN 'valid' ELSE 'test' END AS split
FROM windows($seconds, $stride_s) AS w
JOIN numbered AS n USING (recording_id, profile)
