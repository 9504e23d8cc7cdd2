"""What is fixed before a sample is stored: channels, segments, kernels, steps."""

from dataclasses import dataclass

import numpy as np

from eegfm_etl.chain.filters import Kernel
from eegfm_etl.chain.resample import Resampling
from eegfm_etl.chain.samples import Segment
from eegfm_etl.chain.strands import Strand
from eegfm_etl.channels import ChannelPlan
from eegfm_lake.schema import BLOCK_S, Profile


@dataclass(frozen=True)
class Plan:
    """What is fixed before the second pass."""

    profile: Profile
    stored: list[ChannelPlan]
    strands: list[Strand]  # the stored channels by rate, the fastest first
    line_freq_hz: float | None
    line_freq_origin: str | None
    kernels: list[list[Kernel]]  # per segment, per stored channel
    steps_uv: np.ndarray

    @property
    def rate_hz(self) -> float:
        """Rate of the fastest stored channel."""
        return self.strands[0].rate_hz

    @property
    def segments(self) -> list[Segment]:
        """Segments, counted at that rate."""
        return self.strands[0].segments

    @property
    def ratio(self) -> Resampling:
        """From that rate to the profile's; it says how many samples are stored."""
        return self.strands[0].ratio

    @property
    def block(self) -> int:
        """Stored samples of a block."""
        return round(BLOCK_S * self.profile.rate_hz)

    @property
    def eeg(self) -> np.ndarray:
        """Rows of the stored EEG channels."""
        return np.flatnonzero([channel.type == "eeg" for channel in self.stored])

    @property
    def comparable(self) -> np.ndarray:
        """Rows of the EEG channels that are judged against each other: those with one reference, else all."""
        one_reference = [row for row in self.eeg if self.stored[row].anode is None]
        return np.array(one_reference, dtype=np.int64) if one_reference else self.eeg
