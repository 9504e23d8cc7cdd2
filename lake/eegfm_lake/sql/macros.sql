-- Times are seconds from a recording's first sample, gaps included. Nothing here crosses a segment.

-- Every window of so many seconds, one each stride, from every segment's start.
CREATE MACRO windows(seconds, stride) AS TABLE
SELECT
    recording_id, profile, dataset, person, session, task, run,
    unnest(flatten(list_transform(segments, lambda s: list_transform(
        range(0, greatest(0, 1 + CAST(floor(
            (s.samples - round_even(seconds * signal.rate, 0)) / (stride * signal.rate) + 1e-9) AS BIGINT))),
        lambda k: s.start_s + k * stride)))) AS start,
    CAST(seconds AS DOUBLE) AS seconds
FROM recordings_rows;

-- A window around the onset of every event whose label is the pattern (`*` stands for anything) or lies below it:
-- `before` seconds ahead of the onset (negative: it starts that long after it) until `after` seconds behind it.
CREATE MACRO trials(pattern, before, after) AS TABLE
SELECT
    recording_id, profile, dataset, person, session, task, run,
    e.label AS label, e.value AS value, e.source_label AS source_label, e.hed AS hed,
    e.onset_s AS onset_s, e.duration_s AS duration_s,
    e.onset_s - before AS start, CAST(before + after AS DOUBLE) AS seconds
FROM (
    SELECT
        recording_id, profile, dataset, person, session, task, run,
        unnest(list_filter(events, lambda e:
            (e.label GLOB pattern OR starts_with(e.label, pattern || '/'))
            AND len(list_filter(segments, lambda s:
                round_even((e.onset_s - before - s.start_s) * signal.rate, 0) >= 0
                AND round_even((e.onset_s - before - s.start_s) * signal.rate, 0)
                    + round_even((before + after) * signal.rate, 0) <= s.samples)) > 0)) AS e
    FROM recordings_rows
);

-- Whether every block that a window touches is good. Blocks are looked up by their position in the segment.
CREATE MACRO clean(recording, start, seconds, profile_name := 'eeg200') AS len(list_filter(
    (SELECT any_value(quality_segments) FROM block_quality
        WHERE quality_recording = recording AND quality_profile = profile_name),
    lambda s: start >= s.start_s - 1e-6 AND start + seconds <= s.start_s + s.seconds + 1e-6
        AND list_bool_and(list_slice(s.good,
            1 + CAST(floor((start - s.start_s) / 10 + 1e-9) AS BIGINT),
            greatest(1, CAST(ceil((start + seconds - s.start_s) / 10 - 1e-9) AS BIGINT))))
)) > 0;

-- Stands in for `clean` where a cohort's attrition is told: what `clean` takes is the difference.
CREATE MACRO clean_or_not(recording, start, seconds, profile_name := 'eeg200') AS recording IS NOT NULL;

-- The stored samples of one channel between two times, in µV; samples inside a gap do not exist.
CREATE MACRO signal(recording, channel, t0, t1, profile_name := 'eeg200') AS TABLE
SELECT
    s.start_s + (unnest(range(s.n)) + s.skip) / rate AS time_s,
    unnest(_signal(file, channel, s.first_sample + s.skip, s.n)) AS uv
FROM (
    SELECT file, rate, unnest(list_filter(list_transform(segments, lambda s: {
        'start_s': s.start_s, 'first_sample': s.first_sample,
        'skip': CAST(greatest(0, ceil((t0 - s.start_s) * rate - 1e-6)) AS BIGINT),
        'n': CAST(least(s.samples, ceil((t1 - s.start_s) * rate - 1e-6)) AS BIGINT)
            - CAST(greatest(0, ceil((t0 - s.start_s) * rate - 1e-6)) AS BIGINT)}), lambda s: s.n > 0)) AS s
    FROM (
        SELECT signal.file AS file, signal.rate AS rate, segments
        FROM recordings_rows AS r
        WHERE r.recording_id = recording AND r.profile = profile_name
    )
)
ORDER BY time_s;
