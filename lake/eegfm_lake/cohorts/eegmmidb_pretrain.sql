-- Windows of some people of eegmmidb, S001 to S018 by default, to pre-train without the others
-- :param first=1 first person
-- :param last=18 last person
-- :param seconds=4 length of a window
-- :param stride_s=4 seconds from one window's start to the next
-- :param profile=eeg200 profile that the signals are stored in
SELECT recording_id, profile, start, seconds
FROM windows($seconds, $stride_s)
WHERE dataset = 'eegmmidb' AND profile = $profile
    AND CAST(regexp_extract(person, '(\d+)$', 1) AS INTEGER) BETWEEN $first AND $last
    AND clean(recording_id, start, seconds, profile_name := $profile)
