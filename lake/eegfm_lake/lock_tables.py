"""A lock's tables out of the lake's rows, column by column: large cohorts have millions of channels."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eegfm_lake import schema


def recording_table(rows: pa.Table) -> pa.Table:
    """Return `schema.LOCK_RECORDINGS` of the lake's rows, numbered in their order."""
    derived = {
        "recording": pa.array(np.arange(rows.num_rows), pa.int32()),
        "signal_file": pc.struct_field(rows.column("signal"), "file"),
        "rate": pc.struct_field(rows.column("signal"), "rate"),
        "signal_samples": pc.struct_field(rows.column("signal"), "samples"),
        "source_sha256": pc.struct_field(rows.column("source"), "sha256"),
    }
    return _table(schema.LOCK_RECORDINGS, derived, {name: rows.column(name) for name in rows.column_names})


def channel_table(rows: pa.Table) -> pa.Table:
    """Return `schema.LOCK_CHANNELS` of the lake's rows: stored channels, numbered as in the signal file."""
    lists = rows.column("channels").combine_chunks()
    channels = pc.list_flatten(lists)
    recording = pc.list_parent_indices(lists).to_numpy()
    stored = pc.fill_null(pc.not_equal(pc.struct_field(channels, "status"), "dropped"), True)
    recording = recording[stored.to_numpy(zero_copy_only=False)]
    channels = channels.filter(stored)
    # A recording's stored channels follow each other, so their numbers count up from its first.
    first = np.searchsorted(recording, recording)
    fields = {field.name: pc.struct_field(channels, field.name) for field in channels.type}
    derived = {
        "recording": pa.array(recording, pa.int32()),
        "channel": pa.array(np.arange(len(recording)) - first, pa.int32()),
        "step_uv": fields["step"],
    }
    return _table(schema.LOCK_CHANNELS, derived, fields)


def _table(contract: pa.Schema, derived: Mapping[str, pa.Array], plain: Mapping[str, pa.Array]) -> pa.Table:
    columns = {**plain, **derived}
    return pa.Table.from_arrays([columns[name] for name in contract.names], schema=contract)
