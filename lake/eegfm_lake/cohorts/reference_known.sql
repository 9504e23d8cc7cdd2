-- Clean windows of recordings whose reference is known
-- What the potentials were measured against is methodology: where nobody wrote it down, it is not guessed.
-- :param seconds=30 length of a window
-- :param stride_s=30 seconds from one window's start to the next
-- :param profile=eeg200 profile that the signals are stored in
SELECT w.recording_id, w.profile, w.start, w.seconds
FROM windows($seconds, $stride_s) AS w
JOIN recordings AS r USING (recording_id, profile)
WHERE r.reference IS NOT NULL AND w.profile = $profile
    AND clean(w.recording_id, w.start, w.seconds, profile_name := $profile)
