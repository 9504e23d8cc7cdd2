import hashlib
from pathlib import Path

import duckdb
import pytest

from eegfm_lake.errors import UsageError
from eegfm_lake.query import run_sql
from eegfm_lake.sandbox import lock_down


def fingerprint(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


# {live}: a live file of the lake; {signal}: a signal file; {outside}: a file beside it; {new}: none yet.
REFUSED = [
    "SELECT content FROM read_blob('{live}')",
    "SELECT content FROM read_blob('{outside}')",
    "SELECT read_blob('{outside}')",
    "SELECT * FROM read_text('{outside}')",
    "SELECT * FROM read_csv('{outside}')",
    "SELECT * FROM read_parquet('{live}')",
    "SELECT * FROM read_parquet('{signal}')",
    "SELECT * FROM '{signal}'",
    "SELECT * FROM '{outside}'",
    "SELECT * FROM parquet_metadata('{live}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM sniff_csv('{outside}')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('recordings')",
    "SELECT getenv('HOME')",
    "SELECT current_setting('allowed_paths')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT sleep_ms(10)",
    "SELECT write_log('x')",
    "SELECT * FROM json_execute_serialized_sql('{{}}')",
    "COPY recordings TO '{new}'",
    "COPY recordings TO '{live}'",
    "WITH x AS (COPY recordings TO '{live}') SELECT 1",
    "WITH x AS (COPY recordings TO '{new}') SELECT 1",
    "SELECT * FROM (WITH x AS (COPY recordings TO '{new}') SELECT 1)",
    "EXPORT DATABASE '{new}'",
    "ATTACH '{new}' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE MACRO clean(a, b, c) AS true",
    "DROP VIEW recordings",
    "INSERT INTO recordings SELECT * FROM recordings",
    "DELETE FROM recordings",
    "WITH x AS (DELETE FROM recordings RETURNING *) SELECT * FROM x",
    "EXPLAIN ANALYZE SELECT 1",
    "PREPARE p AS SELECT 1",
    "BEGIN",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY recordings TO '{new}'",
    "SELECT * FROM secret_of_the_caller",
    "SELECT _signal('{signal}', 'C3', 0, 1)",
    "SELECT _signal('../../{outside}', 'C3', 0, 1)",
    "SELECT list_transform([1], lambda x: _signal('{signal}', 'C3', 0, 1))",
    "SELECT 1 ORDER BY read_blob('{outside}')",
    "SELECT sum(1) OVER (ORDER BY read_blob('{outside}'))",
    "SELECT 1 WHERE EXISTS (SELECT * FROM read_text('{outside}'))",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_a_stranger_can_neither_read_files_nor_change_anything(shared_lake, tmp_path, statement):
    secret_of_the_caller = shared_lake.recordings(["recording_id"])
    assert secret_of_the_caller.num_rows
    outside = tmp_path / "outside.csv"
    outside.write_text("secret\n1\n")
    live = next(file for file in shared_lake.live_files("recordings"))
    signal = shared_lake.recordings(["signal"]).to_pylist()[0]["signal"]["file"]
    before = fingerprint(shared_lake.storage.uri)
    filled = statement.format(
        live=shared_lake.storage.full(live),
        signal=shared_lake.storage.full(signal),
        outside=outside,
        folder=tmp_path,
        new=tmp_path / "new",
    )
    with pytest.raises(UsageError) as caught:
        run_sql(shared_lake, filled)
    assert "\n" not in str(caught.value)
    assert fingerprint(shared_lake.storage.uri) == before
    assert [path.name for path in tmp_path.iterdir()] == ["outside.csv"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{outside}')",
        "SELECT * FROM '{outside}'",
        "COPY (SELECT 1) TO '{new}'",
        "ATTACH '{new}' AS other",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{outside}']",
        "SET memory_limit = '1TB'",
        "SELECT * FROM caller_variable",
        "INSTALL httpfs",
        "LOAD httpfs",
    ],
)
def test_the_configuration_alone_already_refuses_the_outside(tmp_path, statement):
    caller_variable = duckdb.sql("SELECT 1").to_arrow_table()
    assert caller_variable.num_rows
    (tmp_path / "outside.csv").write_text("secret\n1\n")
    connection = duckdb.connect()
    lock_down(connection, [str(tmp_path / "live.parquet")], "1GB")
    with pytest.raises(duckdb.Error):
        connection.execute(
            statement.format(outside=tmp_path / "outside.csv", new=tmp_path / "new")
        ).fetchall()
    assert [path.name for path in tmp_path.iterdir()] == ["outside.csv"]
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "WITH young AS (SELECT person FROM people WHERE age < 30) FROM events SEMI JOIN young USING (person)",
        "SELECT recording_id FROM recordings UNION ALL SELECT person FROM people EXCEPT SELECT 'x'",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
        "SELECT person, row_number() OVER (PARTITION BY sex ORDER BY hash(person)) % 5 AS fold FROM people",
        "SELECT * EXCLUDE (phenotype) FROM recordings WHERE sex IN ('f', 'm') AND age BETWEEN 18 AND 99",
        "SELECT CASE WHEN label LIKE '%left%' THEN 'left' ELSE 'right' END AS side, "
        "count(*) FILTER (WHERE onset_s > 3) FROM events "
        "WHERE label IS NOT NULL AND NOT starts_with(label, 'rest') GROUP BY ALL HAVING count(*) > 1",
        "SELECT [x * 2 FOR x IN [1, 2] IF x > 1], {'a': 1}.a, list_transform([1], lambda y: y + 1), 5 // 2",
        "SELECT phenotype['simulated'], CAST(regexp_extract(person, '(\\d+)$') AS INTEGER) FROM recordings",
        "DESCRIBE recordings",
        "FROM people",
        "SELECT DISTINCT ON (person) person, onset_s FROM events QUALIFY rank() OVER (ORDER BY onset_s) < 9",
        "SELECT quantile_cont(amplitude_uv, 0.9), mad(amplitude_uv) FROM blocks WHERE good",
        "SELECT count(*) FROM channels WHERE sqrt(x * x + y * y + z * z) BETWEEN 0.08 AND 0.11;",
    ],
)
def test_what_people_ask_still_works(shared_lake, statement):
    inside = run_sql(shared_lake, statement).to_pylist()
    assert inside
    if "OVER" not in statement:  # among equals a window function ranks as it likes
        trusted = run_sql(shared_lake, statement, sandbox=False).to_pylist()
        assert sorted(map(str, inside)) == sorted(map(str, trusted))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("", "the statement is empty; ask one SELECT"),
        ("SELECT * FROM '/tmp/x.csv'", "files cannot be read here, only the views datasets, people"),
    ],
)
def test_a_refusal_says_what_can_be_asked(shared_lake, statement, words):
    with pytest.raises(UsageError, match=words):
        run_sql(shared_lake, statement)
