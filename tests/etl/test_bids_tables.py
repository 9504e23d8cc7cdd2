"""Tables beside recordings: what they do not say stays unknown."""

from pathlib import Path

import pytest

from eegfm_etl import bids_tables
from eegfm_etl.events import in_order
from eegfm_etl.source import SourceError


def test_a_table_leaves_out_what_it_does_not_say(tmp_path: Path):
    (tmp_path / "a.tsv").write_bytes("\ufeffID\tAge \tname\r\n1\tn/a\t Zoë \r\n2\t30\r\n".encode())
    assert bids_tables.table(tmp_path / "a.tsv") == [{"id": "1", "name": "Zoë"}, {"id": "2", "age": "30"}]
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "c.tsv").write_bytes("participant_id\ttown\nsub-1\tKöln\n".encode("latin-1"))
    assert bids_tables.table(tmp_path / "c.tsv") == [{"participant_id": "sub-1", "town": "Köln"}]
    assert bids_tables.table(tmp_path / "b.csv") == bids_tables.table(tmp_path / "absent.tsv") == []


def test_a_hand_is_never_guessed():
    hands = [bids_tables.hand(one) for one in ("R", "left", "A", "1", None)]
    assert hands == ["right", "left", "ambidextrous", None, None]


def test_true_labels_go_to_the_annotations_in_time_s_order():
    annotations = [(9.0, 1.0, "783"), (1.0, 1.0, " 783"), (0.5, 2.0, "768")]
    assert in_order(annotations, {"783": ("769", "770")}) == [
        (0.5, 2.0, "768"), (1.0, 1.0, "769"), (9.0, 1.0, "770")
    ]  # fmt: skip
    assert in_order(annotations, {}) == sorted(annotations)
    with pytest.raises(SourceError, match="2 events '783', but 1 true labels"):
        in_order(annotations, {"783": ("769",)})
