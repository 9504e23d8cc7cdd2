-- Clean windows of 30 s from every data set, to pre-train on
-- A window is taken every stride_s seconds; simulated people count as people here.
-- :param stride_s=30 seconds from one window's start to the next
-- :param dataset=* data sets to take, '*' for anything
SELECT recording_id, start, seconds
FROM windows(30, $stride_s)
WHERE dataset GLOB $dataset AND clean(recording_id, start, seconds)
