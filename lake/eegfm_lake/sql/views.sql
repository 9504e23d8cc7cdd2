-- What SQL sees. `recordings_rows` and `failures_rows` are the live files of the two tables.
-- Sums are of whole numbers: those of fractions depend on the order in which rows were committed.
-- Lists are unnested in SELECT, never in FROM: a lateral join takes ten times as long.

CREATE VIEW recordings AS
SELECT
    recording_id, profile, dataset, session, task, run, person, same_as,
    age, sex, handedness, diagnosis, phenotype,
    label, target, official_split, duration_s,
    signal.rate AS rate, signal.samples AS samples, len(segments) AS segments,
    len(list_filter(channels, lambda c: c.type = 'eeg' AND c.status <> 'dropped')) AS eeg_channels,
    len(list_filter(channels, lambda c: c.status = 'bad')) AS bad_channels,
    len(events) AS events,
    len(list_filter(blocks, lambda b: b.good)) / len(blocks) AS good_share,
{common_covariates}
    licence, citation,
    source.path AS source_path, source.sha256 AS source_sha256, source.bytes AS source_bytes,
    source.format AS source_format, source.reader AS source_reader, source.start_time AS start_time,
    source.parts AS source_parts, source.notes AS source_notes, source.personal AS source_personal,
    chain.version AS chain_version, trailing_zeros_cut,
    ingest.id AS ingest_id, ingest.time AS ingest_time,
    ingest.recipe AS recipe, ingest.version AS recipe_version
FROM recordings_rows;

CREATE VIEW people AS
SELECT
    person, list(DISTINCT dataset ORDER BY dataset) AS datasets,
    -- of the first recording that says it, so that the order in which rows came does not matter
    arg_min(same_as, recording_id) AS same_as, arg_min(age, recording_id) AS age, arg_min(sex, recording_id) AS sex,
    arg_min(handedness, recording_id) AS handedness, arg_min(diagnosis, recording_id) AS diagnosis,
    count(*) AS recordings, sum(round(1e6 * duration_s)::BIGINT) / 3.6e9 AS hours
FROM recordings_rows
GROUP BY person;

CREATE VIEW failures AS
SELECT
    f.dataset, f.path, f.sha256, f.bytes, f.recording_id, f.profile, f.step, f.reason, f.detail, f.parts,
    f.ingest.id AS ingest_id, f.ingest.time AS ingest_time
FROM failures_rows AS f
ANTI JOIN recordings_rows AS r
    ON f.dataset = r.dataset AND f.profile = r.profile AND f.path = r.source.path
    AND (f.sha256 = r.source.sha256 OR coalesce(r.ingest.time > f.ingest.time, false));

CREATE VIEW datasets AS
SELECT
    dataset, coalesce(people, 0) AS people, coalesce(recordings, 0) AS recordings, coalesce(hours, 0) AS hours,
    coalesce(failures, 0) AS failures, licences, citations
FROM (
    SELECT
        dataset, count(DISTINCT person) AS people, count(*) AS recordings,
        sum(round(1e6 * duration_s)::BIGINT) / 3.6e9 AS hours,
        list(DISTINCT licence ORDER BY licence) AS licences, list(DISTINCT citation ORDER BY citation) AS citations
    FROM recordings_rows
    GROUP BY dataset
)
FULL JOIN (SELECT dataset, count(*) AS failures FROM failures GROUP BY dataset) USING (dataset);

CREATE VIEW channels AS
SELECT recording_id, profile, dataset, person, unnest(channels, max_depth := 2)
FROM recordings_rows;

CREATE VIEW events AS
SELECT
    recording_id, profile, dataset, person, session, task, run,
    unnest(range(len(events))) AS event, unnest(events, max_depth := 2)
FROM recordings_rows;

CREATE VIEW blocks AS
SELECT
    recording_id, profile, dataset, person,
    unnest(range(len(blocks))) AS block, unnest(blocks, max_depth := 2)
FROM recordings_rows;

CREATE VIEW methodology AS
SELECT recording_id, profile, dataset, person, unnest(methodology, max_depth := 2)
FROM recordings_rows;

-- Recordings of different people that share four landmarks or more at one distance in time (within 0.1 s): the same
-- signal, also cropped, rescaled or with other channels. `offset_s`: where in the first the other's first stored sample
-- lies; `at_s`: a common landmark, in stored seconds of the first.
CREATE VIEW duplicates AS
SELECT
    recording_id, other_id, profile, person, other_person,
    count(*) AS landmarks, avg(distance) / 100 AS offset_s, min(here) / 100 AS at_s
FROM (
    SELECT
        *, here - there AS distance,
        median(here - there) OVER (PARTITION BY recording_id, other_id, profile) AS usual
    FROM (
        SELECT
            a.recording_id AS recording_id, b.recording_id AS other_id, a.profile AS profile,
            a.person AS person, b.person AS other_person,
            a.mark & 4294967295 AS here, b.mark & 4294967295 AS there
        FROM (SELECT recording_id, profile, person, unnest(fingerprint) AS mark FROM recordings_rows) AS a
        JOIN (SELECT recording_id, profile, person, unnest(fingerprint) AS mark FROM recordings_rows) AS b
            ON a.mark >> 32 = b.mark >> 32 AND a.profile = b.profile AND a.recording_id < b.recording_id
        WHERE a.person IS DISTINCT FROM b.person OR a.person IS NULL
    )
)
WHERE abs(distance - usual) <= 10
GROUP BY ALL
HAVING count(*) >= 4;

-- What the macro `clean` looks up. Names that no query uses: a macro's argument `recording_id` would otherwise be
-- taken for the column of this view.
CREATE VIEW block_quality AS
SELECT
    recording_id AS quality_recording, profile AS quality_profile,
    list_transform(segments, lambda s: {
        'start_s': s.start_s, 'seconds': s.samples / signal.rate,
        'inner': coalesce(s.high_passed, true), 'edge_s': coalesce(s.edge_s, 0),
        'good': list_transform(list_slice(blocks, s.first_block + 1, s.first_block
            + CAST(ceil(s.samples / signal.rate / 10 - 1e-9) AS BIGINT)), lambda b: b.good)
    }) AS quality_segments
FROM recordings_rows;
