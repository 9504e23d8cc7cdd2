-- Simulated left or right imagery of three laboratories, 0-4 s from the cue, folds of people
-- Nothing here was recorded from a person. Folds go round the people of each laboratory.
-- :param folds=4 number of folds
-- :param without=none a person left out of everything, such as sim/A01
-- :param from_s=0 seconds from the cue to the window's start
-- :param seconds=4 length of a window
-- :param profile=eeg200 profile that the signals are stored in
WITH places AS (
    SELECT person, (row_number() OVER (PARTITION BY substr(person, 1, 5) ORDER BY person) - 1) % $folds AS fold
    FROM people
    WHERE list_contains(datasets, 'simulated') AND person <> $without
)
SELECT t.recording_id, t.profile, t.start, t.seconds, t.label, p.fold
FROM trials('motor/imagery/*_fist', -CAST($from_s AS DOUBLE), $from_s + $seconds) AS t
JOIN places AS p USING (person)
WHERE t.dataset = 'simulated' AND t.profile = $profile
