"""Source annotations become events with label paths."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_etl.events import label_events

LABELS = {"T0": "rest/between_trials", "T1": "motor/imagery/left_fist", "[Total time]+62.000": None}


def test_a_known_text_gets_its_path_and_keeps_the_sources_words():
    (event,) = label_events([(4.2, 4.1, "T1")], LABELS)
    assert (event.onset_s, event.duration_s) == (4.2, 4.1)
    assert (event.label, event.source_label) == ("motor/imagery/left_fist", "T1")


def test_an_unknown_text_is_an_event_without_a_label():
    (event,) = label_events([(1.0, 0.0, "blink?")], LABELS)
    assert (event.label, event.source_label) == (None, "blink?")


def test_a_text_declared_as_no_event_is_none():
    assert label_events([(62.0, 0.0, "[Total time]+62.000")], LABELS) == []


@pytest.mark.parametrize("text", ["+0.000000", "-1.5", "", "  ", "BAD_ACQ_SKIP", "boundary", "New Segment/"])
def test_marks_of_formats_are_no_events(text):
    assert label_events([(0.0, 0.0, text)], {}) == []
    assert len(label_events([(0.0, 0.0, text)], {text: "rest/eyes_open"})) == 1


def test_padding_inside_a_text_does_not_hide_it():
    (event,) = label_events([(0.0, 0.0, "Stimulus/S  1")], {"Stimulus/S 1": "motor/imagery/left_fist"})
    assert event.label == "motor/imagery/left_fist"


def test_numbers_are_kept_as_values():
    assert [event.value for event in label_events([(0, 0, "769"), (1, 0, "T1")], {})] == ["769", None]


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(allow_nan=True, allow_infinity=True),
            st.sampled_from(["T0", "T1", "x", "+1.0"]),
        )
    )
)
@settings(deadline=None)
def test_events_are_ordered_and_finite_whatever_the_source_says(annotations):
    events = label_events(annotations, LABELS)
    assert [event.onset_s for event in events] == sorted(event.onset_s for event in events)
    assert all(math.isfinite(event.onset_s) for event in events)
    assert all(event.duration_s is None or event.duration_s >= 0 for event in events)
    assert len(events) == sum(math.isfinite(onset) and text != "+1.0" for onset, _, text in annotations)
