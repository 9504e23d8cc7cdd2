-- Imagined left or right fist in eegmmidb (runs 4, 8, 12), 0-4 s from the cue, six folds of people
-- S088, S092 and S100 are left out: their trials have other timing. Fold is (number of the person - 1) mod 6.
-- :param first=1 first person
-- :param last=109 last person
-- :param from_s=0 seconds from the cue to the window's start
-- :param seconds=4 length of a window
-- :param profile=eeg200 profile that the signals are stored in
WITH imagined AS (
    SELECT *, CAST(regexp_extract(person, '(\d+)$', 1) AS INTEGER) AS number
    FROM trials('motor/imagery/*_fist', -CAST($from_s AS DOUBLE), $from_s + $seconds)
    WHERE dataset = 'eegmmidb' AND profile = $profile
)
SELECT recording_id, profile, start, seconds, label, (number - 1) % 6 AS fold
FROM imagined
WHERE number BETWEEN $first AND $last
    AND number NOT IN (88, 92, 100)
    AND regexp_matches(recording_id, '/R(04|08|12)$')
