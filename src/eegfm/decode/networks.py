"""Networks behind the interface of every decoder: EEGNet, ShallowFBCSPNet, and CSBrain on any montage.

Legend: N windows, B windows of a batch, C channels, T samples, K classes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eegfm.data.methodology import account, vocabulary
from eegfm.decode.alignment import Alignment, Target, target_use
from eegfm.decode.conditions import by_recording, condition_of
from eegfm.decode.covariances import band_pass
from eegfm.decode.training import (
    Augmentation,
    Group,
    Log,
    Schedule,
    channel_mirror,
    class_mirror,
    fit_network,
    predict_network,
)
from eegfm.decode.trials import PersonTrials, Trials
from eegfm.model import ClassifierHead, Encoder, EncoderConfig, preset
from eegfm.model.presets import Vocabulary

UNIT_UV = 100.0
"""The encoder's unit."""

BRAINDECODE = {"eegnet": "EEGNet", "shallow": "ShallowFBCSPNet"}


@dataclass(frozen=True)
class NetworkSpec:
    """A network and how it is trained.

    Attributes
    ----------
    kind : {"csbrain", "eegnet", "shallow"}
    mode : {"full", "linear_probe"}
        Train everything, or the head alone on a frozen encoder.
    encoder : dict
        ``EncoderConfig`` as a dict; CSBrain only.
    changes : dict
        Arguments of the braindecode class, or ``pooling`` and ``drop_prob`` of CSBrain's head.
    band_hz : (float, float) or None
        Band-pass of the windows before the network.
    rate_hz : float or None
        Windows are brought down to this rate; None keeps theirs.
    condition, condition_recordings
        Covariates of the methodology that a random encoder is told, and how many training recordings a value needs;
        a pre-trained one has its own in ``encoder``.
    """

    kind: str
    mode: str = "full"
    encoder: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    band_hz: tuple[float | None, float | None] | None = None
    rate_hz: float | None = None
    schedule: Schedule = field(default_factory=Schedule)
    shift_s: float = 0.0
    drop_channels: float = 0.0
    noise: float = 0.0
    mirror: bool = False
    encoder_lr: float = 1.0
    """Learning rate of the encoder as a share of the head's."""
    condition: tuple[str, ...] = ()
    condition_recordings: int = 5


class NetworkDecoder:
    """A network on aligned windows.

    Parameters
    ----------
    spec : NetworkSpec
    alignment : Alignment or None
    seed : int
        Initial weights, order, augmentation.
    weights : dict of str to Tensor, optional
        The encoder's pre-trained weights.
    device : str
        Where the network is trained.
    log : callable, optional
        See `eegfm.decode.training.fit_network`.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        alignment: Alignment | None = None,
        *,
        seed: int = 0,
        weights: Mapping[str, Tensor] | None = None,
        device: str = "cpu",
        log: Log = lambda record: None,
    ) -> None:
        self.spec, self.alignment, self.seed, self.weights, self.log = spec, alignment, seed, weights, log
        self.device = torch.device(device)
        self.target: Target = None
        self.names: tuple[str, ...] | None = None
        self.scale_uv = UNIT_UV
        self.network: nn.Module  # made by `fit`

    @property
    def any_montage(self) -> bool:
        """Whether people may differ in their channels."""
        return self.spec.kind == "csbrain"

    @property
    def vocabulary(self) -> Vocabulary:
        """Covariates that the encoder is told, each with its values; empty without conditions."""
        return EncoderConfig.from_dict(dict(self.spec.encoder)).condition if self.spec.encoder else ()

    def fit(self, train: Trials, valid: Trials | None = None, target: Target = None) -> "NetworkDecoder":
        """See `eegfm.decode.Decoder.fit`."""
        self._learn_vocabulary(train)
        self.names = None if self.any_montage else train.common_channels()
        self.rate_hz, self.classes = train.rate_hz, train.classes
        train = train if self.names is None else train.pick(self.names)
        if self.alignment is not None:
            self.alignment.fit(train).fit_scale(train)
        if not self.any_montage:
            self.scale_uv = float(np.sqrt(np.mean([self._input(p, True).var() for p in train.people])))
        groups = self._groups(train, training=True)
        valid_groups = []
        if valid is not None and len(valid):
            self.adapt(target)
            valid_groups = self._groups(valid if self.names is None else valid.pick(self.names))
        torch.manual_seed(self.seed)
        self.network = self._build(groups[0].x_NCT.shape[1], groups[0].x_NCT.shape[2]).to(self.device)
        swap = class_mirror(train.classes) if self.spec.mirror else None
        dropped = self.spec.drop_channels if self.any_montage else 0.0
        fit_network(
            self.network,
            self._forward,
            groups,
            valid_groups,
            self.spec.schedule,
            Augmentation(self.spec.shift_s, dropped, self.spec.noise, swap),
            slow={"encoder.": self.spec.encoder_lr},
            rate_hz=self.spec.rate_hz or self.rate_hz,
            seed=self.seed,
            log=self.log,
        )
        return self

    def adapt(self, target: Target) -> "NetworkDecoder":
        """See `eegfm.decode.Decoder.adapt`."""
        self.target = target
        if self.alignment is not None:
            self.alignment.adapt(target)
        return self

    def predict(self, windows: Trials) -> np.ndarray:
        """See `eegfm.decode.Decoder.predict`."""
        windows = windows if self.names is None else windows.pick(self.names)
        parts = []
        for person in windows.people:
            x_NCT = torch.from_numpy(self._input(person) / np.float32(self.scale_uv))
            positions_C3 = torch.from_numpy(np.asarray(person.positions_C3, np.float32))
            told_NK = condition_of([person], self.vocabulary)
            parts.append(predict_network(self.network, self._forward, x_NCT, positions_C3, told_NK))
        return np.concatenate(parts)

    def uses(self, windows: Trials) -> tuple[str, int]:
        """See `eegfm.decode.Decoder.uses`; batch statistics are those of training, so they add nothing."""
        return target_use(self.target, windows)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what a new object needs to predict: settings (JSON) and arrays."""
        settings = {
            "spec": asdict(self.spec),
            "names": None if self.names is None else list(self.names),
            "rate_hz": self.rate_hz,
            "classes": list(self.classes),
            "scale_uv": self.scale_uv,
            "shape": self.shape,
        }
        arrays = {name: tensor.cpu().numpy() for name, tensor in self.network.state_dict().items()}
        return settings, arrays

    @classmethod
    def from_state(
        cls, settings: dict[str, Any], arrays: dict[str, np.ndarray], alignment: Alignment | None
    ) -> "NetworkDecoder":
        """Build from ``state()``."""
        spec = settings["spec"] | {"schedule": Schedule(**settings["spec"]["schedule"])}
        decoder = cls(NetworkSpec(**spec), alignment)
        decoder.names = None if settings["names"] is None else tuple(settings["names"])
        decoder.rate_hz, decoder.classes = settings["rate_hz"], tuple(settings["classes"])
        decoder.scale_uv = settings["scale_uv"]
        decoder.network = decoder._build(*settings["shape"])
        decoder.network.load_state_dict({name: torch.from_numpy(values) for name, values in arrays.items()})
        return decoder

    def _learn_vocabulary(self, train: Trials) -> None:
        """Take a random encoder's values from the training people, and log what becomes of each."""
        recordings = by_recording(train.people)
        if self.spec.condition and self.weights is None:
            values = vocabulary(recordings, self.spec.condition, self.spec.condition_recordings)
            self.spec = replace(self.spec, encoder={**self.spec.encoder, "condition": values})
        if self.vocabulary:
            self.log({"condition": account(recordings, self.vocabulary)})

    def _input(self, person: PersonTrials, training: bool = False) -> np.ndarray:
        """Aligned windows in the network's band and rate, µV, float32 (N, C, T)."""
        x_NCT = person.x_NCT
        if self.alignment is not None:
            x_NCT = self.alignment.signals(person, training)
        if self.spec.band_hz is not None:
            low_hz, high_hz = self.spec.band_hz
            x_NCT = band_pass(x_NCT, self.rate_hz, (low_hz, high_hz)).astype(np.float32)
        if self.spec.rate_hz is not None and self.spec.rate_hz < self.rate_hz:
            x_NCT = _slower(x_NCT, self.rate_hz, self.spec.rate_hz)
        return np.ascontiguousarray(x_NCT, np.float32)

    def _groups(self, trials: Trials, training: bool = False) -> list[Group]:
        alike: dict[Any, list[PersonTrials]] = {}
        for person in trials.people:
            alike.setdefault((person.names, person.positions_C3.tobytes()), []).append(person)
        made = []
        for people in alike.values():
            x_NCT = np.concatenate([self._input(person, training) for person in people]) / np.float32(
                self.scale_uv
            )
            positions_C3 = np.asarray(people[0].positions_C3, np.float32)
            labels_N = np.concatenate([person.labels_N for person in people])
            mirror_C = channel_mirror(positions_C3) if self.spec.mirror else None
            made.append(
                Group(
                    torch.from_numpy(x_NCT),
                    torch.from_numpy(positions_C3),
                    torch.from_numpy(labels_N),
                    mirror_C,
                    condition_of(people, self.vocabulary),
                )
            )
        return made

    def _build(self, n_channels: int, n_times: int) -> nn.Module:
        self.shape = [n_channels, n_times]
        if self.spec.kind == "csbrain":
            network = EncoderClassifier(
                EncoderConfig.from_dict(dict(self.spec.encoder)), len(self.classes), **self.spec.changes
            )
            if self.weights is not None:
                network.encoder.load_state_dict(self.weights)
            if self.spec.mode == "linear_probe":
                network.encoder.requires_grad_(False)
            return network
        return _braindecode(
            self.spec, n_channels, n_times, len(self.classes), self.spec.rate_hz or self.rate_hz
        )

    def _forward(self, x_BCT: Tensor, positions_C3: Tensor, condition_BK: Tensor | None = None) -> Tensor:
        x_BCT, positions_C3 = x_BCT.to(self.device), positions_C3.to(self.device)
        if self.spec.kind == "csbrain":
            told_BK = None if condition_BK is None else condition_BK.to(self.device)
            return self.network(x_BCT, positions_C3.expand(len(x_BCT), -1, -1), None, told_BK)
        return self.network(x_BCT)


class EncoderClassifier(nn.Module):
    """CSBrain: the encoder and a classification head."""

    def __init__(
        self, config: EncoderConfig, n_outputs: int, pooling: str = "position", drop_prob: float = 0.3
    ) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.head = ClassifierHead(config, n_outputs, pooling, drop_prob)

    def train(self, mode: bool = True) -> "EncoderClassifier":
        """Switch to training; a frozen encoder stays as it predicts."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.encoder.parameters()):
            self.encoder.eval()
        return self

    def forward(
        self,
        x_BCT: Tensor,
        positions_BC3: Tensor,
        channel_mask_BC: Tensor | None = None,
        condition_BK: Tensor | None = None,
    ) -> Tensor:
        """Return logits (B, K)."""
        tokens_BCPD = self.encoder(x_BCT, positions_BC3, channel_mask_BC, None, condition_BK)
        return self.head(tokens_BCPD, channel_mask_BC, positions_BC3)


def encoder_settings(preset_name: str, window_s: float, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a random encoder for windows of this length."""
    return preset(preset_name, window_s, **changes).to_dict()


def _braindecode(
    spec: NetworkSpec, n_channels: int, n_times: int, n_outputs: int, rate_hz: float
) -> nn.Module:
    from eegfm.torchaudio_cpu import import_torchaudio

    import_torchaudio()
    import braindecode.models

    network_class = getattr(braindecode.models, BRAINDECODE[spec.kind])
    return network_class(
        n_outputs=n_outputs, n_chans=n_channels, n_times=n_times, sfreq=rate_hz, **spec.changes
    )


def _slower(x_NCT: np.ndarray, rate_hz: float, target_hz: float) -> np.ndarray:
    from fractions import Fraction

    from scipy.signal import resample_poly

    ratio = Fraction(target_hz / rate_hz).limit_denominator(1000)
    return resample_poly(x_NCT, ratio.numerator, ratio.denominator, axis=-1, padtype="line")
