-- Clean windows of 30 s from every data set, to pre-train on
-- A window is taken every stride_s seconds; simulated people count as people here.
-- :param stride_s=30 seconds from one window's start to the next
-- :param dataset=* data sets to take, '*' for anything
-- :param profile=eeg200 profile that the signals are stored in
SELECT recording_id, profile, start, seconds
FROM windows(30, $stride_s)
WHERE dataset GLOB $dataset AND profile = $profile
    AND clean(recording_id, start, seconds, profile_name := $profile)
