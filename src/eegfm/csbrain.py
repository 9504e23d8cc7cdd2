"""CSBrain with braindecode's face: the encoder of :mod:`eegfm.model` as a model that its library knows."""

# Names are evaluated by braindecode's configuration and by TorchScript: no postponed annotations here.
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from eegfm.csbrain_loading import Pretrained
from eegfm.csbrain_official import OfficialBody, OfficialPooling, official_config
from eegfm.csbrain_positions import positions_of
from eegfm.model import EncoderConfig
from eegfm.model.encoder import Encoder
from eegfm.model.heads import Pooling
from eegfm.model.layout import Layout, layout_of
from eegfm.model.official_config import RATE_HZ
from eegfm.model.presets import preset as preset_config
from eegfm.model.resample import Resample
from eegfm.torchaudio_cpu import import_torchaudio
from eegfm_lake.errors import UsageError

if TYPE_CHECKING:
    _Output = Tensor | dict[str, Tensor | None]
else:
    _Output = Tensor  # what TorchScript compiles, which reads annotations

import_torchaudio()
from braindecode.models.base import EEGModuleMixin  # noqa: E402 - its import needs torchaudio's


class CSBrain(Pretrained, EEGModuleMixin, nn.Module, license="bsd-3-clause"):
    r"""**C**\ ross-scale **S**\ patiotemporal **Brain** foundation model from Zhou et al. (2025) [Zhou2025]_.

    :bdg-danger:`Foundation Model` :bdg-info:`Attention/Transformer`

    .. versionadded:: 0.1

    .. figure:: ../../docs/images/csbrain.svg
       :align: center
       :alt: Windows become patches, patches become tokens, blocks join them over time and over the head
       :width: 1000px

    CSBrain was introduced as an encoder of masked EEG patches that reads several time scales and several scales of
    the scalp, and attends sparsely, between windows and between brain regions [Zhou2025]_. This class is that
    architecture for windows of any montage, rate and length, with a classification head. Electrodes enter by their
    positions, never by their index: permuting channels together with ``chs_info`` changes nothing.
    :meth:`forward` returns logits ``(batch, n_outputs)``, and tokens with ``return_features=True``.

    .. rubric:: Architecture Overview

    Windows :math:`x \in \mathbb{R}^{C \times T}` in µV are divided by ``scale_uv``, brought to 200 Hz, and cut into
    patches of :math:`S` samples. With :math:`h_{cp} \in \mathbb{R}^{d}` for electrode :math:`c` and patch :math:`p`:

    .. math::

        h_{cp} &= \mathrm{LN}\Big(\mathrm{conv}(x_{cp}) +
        W \log\big(1 + \big|\textstyle\sum_{c'} A_{k}(r_c, r_{c'})\,\hat{x}_{c'p}\big|^2\big)\Big)
        + e(r_c, t_p) \\
        h &\leftarrow h + \mathrm{temporal}(h), \quad h \leftarrow h + \mathrm{spatial}(h) \\
        h &\leftarrow h + \mathrm{attention}_\mathrm{windows}(h), \quad
        h \leftarrow h + \mathrm{attention}_\mathrm{regions}(h), \quad h \leftarrow h + \mathrm{FFN}(h) \\
        y &= V\,\mathrm{vec}\Big(\textstyle\sum_{c} a_c\, q_m(r_c)\, \frac{1}{P} \sum_p h_{cp}\Big)_{m=1}^{16}

    where :math:`\hat{x}` is the patch's spectrum, :math:`A_k` the linear spatial mix, :math:`r` positions, :math:`t`
    time, :math:`q_m` learned functions of position, and :math:`a_c` the area of scalp that an electrode stands for.

    .. rubric:: Macro Components

    - ``CSBrain.resample`` (:class:`eegfm.model.resample.Resample`)

      **Operations**: polyphase windowed-sinc interpolation ``(batch, n_chans, n_times)`` →
      ``(batch, n_chans, n_times * 200 / sfreq)``; nothing at 200 Hz.

      **Role**: one rate for the weights, whatever the recording's.

    - ``CSBrain.encoder`` (:class:`eegfm.model.Encoder`)

      **Operations**: patch embedding (waveform and power) → position embedding → ``depth`` × (temporal tokenizer →
      spatial tokenizer → attention between windows → attention between regions → feed-forward) → layer normalisation.

      **Role**: a token for every electrode and patch, ``(batch, n_chans, n_patches, d_model)``.

    - ``CSBrain.pooling`` (:class:`eegfm.model.heads.Pooling`)

      **Operations**: mean over patches, then sums over electrodes with weights that are functions of position →
      ``(batch, 16 * d_model)``.

      **Role**: features that still tell left from right, of one size for every montage.

    - ``CSBrain.final_layer`` (:class:`torch.nn.Linear`)

      **Operations**: dropout → linear map to ``n_outputs``.

      **Role**: logits. :meth:`reset_head` replaces it.

    .. rubric:: Temporal, Spatial, and Spectral Encoding

    - **Temporal**: kernels over 1, 3 and 5 patches of an electrode; attention between the patches that hold the same
      place in their windows; Fourier features of a patch's time.
    - **Spatial**: kernels over the 1, 3 and 5 nearest electrodes, those of the region first, whose weights are
      functions of the neighbour's offset; attention between 16 regions through the means of their electrodes; Fourier
      features of coordinates.
    - **Spectral**: log power of every patch's spectrum up to 75 Hz, after the spatial mix, each bin divided by what
      resting EEG has there.

    .. rubric:: Additional Mechanisms

    - **Short windows**: for at most 5 s, patches are 0.5 s long, every 0.25 s, so that a 4-s trial has 15 of them.
    - **Residual branches** begin at a tenth of their size; their dropout is the same for all patches of an electrode.
    - **Sizes**, encoder alone, for patches of 1 s: ``tiny`` 53,116 parameters (0.1 MB in bfloat16), ``small`` 661,206,
      ``base`` 9,690,133, ``large`` 494,354,832. ``base`` has the published width and depth.

    .. rubric:: Known Limitations

    - An electrode that has neither a position nor a known name is read as one of unknown place: it takes no part in
      spatial filters. A warning names such electrodes.
    - Samples after the last full patch (less than ``stride_samples``) are not read; a window shorter than one patch
      is an error.
    - The model cannot tell volts from microvolts: data in volts (MNE's ``get_data()``) need ``scale_uv=1e-4``.
    - The published weights of the original code do not fit this class.

    .. rubric:: Pretrained Weights

    .. important::
       No weights are published. ``eegfm pretrain`` makes them, and any folder that it or :meth:`save_pretrained`
       wrote fits any montage, window, rate and number of outputs:

       .. code:: python

           model = CSBrain.from_pretrained(
               "runs/base_4s/model", n_outputs=4, chs_info=info["chs"], n_times=1000, sfreq=250
           )
           print(model.load_report)  # tensors matched, electrodes met, electrodes with positions
           model.save_pretrained("my_decoder")
           model = CSBrain.from_pretrained("my_decoder", chs_info=other_info["chs"], n_outputs=2)

    Parameters
    ----------
    preset : str
        ``"tiny"``, ``"small"``, ``"base"`` or ``"large"``.
    d_model, depth, heads : int, optional
        Override the preset's width, number of blocks, attention heads.
    patch_samples, stride_samples : int, optional
        Length and step of patches at 200 Hz. By default 100 and 50 for windows of at most 5 s, else 200 and 200.
    pooling : str
        ``"position"``, ``"region"``, ``"attention"`` or ``"mean"``; see :class:`eegfm.model.heads.Pooling`.
    scale_uv : float
        The input is divided by it; 100 for input in µV, which is what skorch and MOABB pass on.
    drop_prob : float
        Dropout of residual branches and of pooled features.
    activation : type[nn.Module]
        Activation of the patch embedding and of the feed-forward layers, a class of :mod:`torch.nn`.
    encoder_config : dict, optional
        All settings of the encoder, as :meth:`eegfm.model.EncoderConfig.to_dict` gives them, in place of ``preset``;
        the arguments above win where they are given, ``drop_prob`` and ``activation`` always.
    compat : str, optional
        ``"official"`` executes the released network to the letter, with its sizes and its classifier, for weights
        that were published or for comparison (:class:`eegfm.model.OfficialEncoder`). Of the settings above only
        ``d_model``, ``depth``, ``heads``, ``drop_prob`` and ``scale_uv`` apply. Channels that are a published
        table's, in its order, get that table; others get lobes from their positions. Tokens come in the network's
        order of electrodes.

    Raises
    ------
    eegfm_lake.errors.UsageError
        For an unknown preset, a window shorter than a patch, an activation outside :mod:`torch.nn`; with
        ``compat`` for what the released design cannot do.
    ValueError
        If ``n_chans``, ``n_times``, ``sfreq`` or ``n_outputs`` can be inferred from no argument.

    Notes
    -----
    Positions come from ``chs_info``: ``loc[:3]`` where it is finite and 3 to 30 cm from the origin, else the
    template position of the channel's canonical name (``EEG T3-REF`` is T7), else unknown. NaN and zeros, which MNE
    writes for no position, go to the name without a word; other implausible positions with a warning.

    The paper states 4.9 million parameters for its encoder and its released code has 8,902,000; ``base`` has 9.69
    million, for every block has tokenizers of its own.

    References
    ----------
    .. [Zhou2025] Zhou, Y., Wu, J., Ren, Z., Yao, Z., Lu, W., Peng, K., Zheng, Q., Song, C., Ouyang, W., & Gou, C.
       (2025). CSBrain: A Cross-scale Spatiotemporal Brain Foundation Model for EEG Decoding. arXiv:2506.23075.
       https://arxiv.org/abs/2506.23075
    """

    def __init__(
        self,
        n_outputs: int | None = None,
        n_chans: int | None = None,
        chs_info: list[dict[str, Any]] | None = None,
        n_times: int | None = None,
        input_window_seconds: float | None = None,
        sfreq: float | None = None,
        *,
        preset: str = "small",
        d_model: int | None = None,
        depth: int | None = None,
        heads: int | None = None,
        patch_samples: int | None = None,
        stride_samples: int | None = None,
        pooling: str = "position",
        scale_uv: float = 100.0,
        drop_prob: float = 0.1,
        activation: type[nn.Module] = nn.GELU,
        encoder_config: dict[str, Any] | None = None,
        compat: str | None = None,
    ):
        super().__init__(
            n_outputs=n_outputs,
            n_chans=n_chans,
            chs_info=chs_info,
            n_times=n_times,
            input_window_seconds=input_window_seconds,
            sfreq=None if sfreq is None else float(sfreq),
        )
        del n_outputs, n_chans, chs_info, n_times, input_window_seconds, sfreq
        changes: dict[str, Any] = {
            "d_model": d_model,
            "depth": depth,
            "heads": heads,
            "patch_samples": patch_samples,
            "stride_samples": stride_samples,
            "drop_prob": drop_prob,
            "activation": _name_of(activation),
        }
        chosen = {key: value for key, value in changes.items() if value is not None}
        xyz_C3 = self._positions()
        self.scale_uv = scale_uv
        if compat is None:
            if encoder_config is None:
                config = preset_config(preset, self.input_window_seconds, **chosen)
            else:
                config = replace(EncoderConfig.from_dict(encoder_config), **chosen)
            self.resample = Resample(self.sfreq, config.rate_hz)
            self.encoder = Encoder(config)
            self.encoder.n_patches(self.resample.n_times(self.n_times))
            self.pooling = Pooling(config, pooling)
            # Only pre-training hides patches; what no loss reaches is no parameter to train.
            self.encoder.embedding.hidden.requires_grad_(False)
            neighbours = max(config.scales)
        else:
            names = [str(ch.get("ch_name", "")) for ch in self._chs_info or []]
            released = official_config(compat, names, xyz_C3, encoder_config, chosen | {"pooling": pooling})
            self.resample = Resample(self.sfreq, RATE_HZ)
            self.encoder = OfficialBody(released)
            n_patches = self.encoder.n_patches(self.resample.n_times(self.n_times))
            self.pooling = OfficialPooling(released, n_patches, drop_prob)
            neighbours = 1
        self.drop = nn.Dropout(drop_prob)
        layout = layout_of(torch.from_numpy(xyz_C3), None, neighbours)
        for name, tensor in zip(Layout._fields, layout, strict=True):
            self.register_buffer(f"layout_{name}", tensor, persistent=False)
        self.final_layer = nn.Linear(self.pooling.n_features, self.n_outputs)
        self.to(self.final_layer.weight.device)  # under ``torch.device``: buffers that came from numpy follow

    def forward(self, x: Tensor, return_features: bool = False) -> _Output:
        """Decode windows.

        Parameters
        ----------
        x
            Windows (batch, n_chans, n_times) in µV at ``sfreq``.
        return_features
            Return the encoder's tokens in place of logits.

        Returns
        -------
        Tensor or dict
            Logits (batch, n_outputs); or ``features``, (batch, n_chans, n_patches, d_model), and ``cls_token``,
            None: the architecture has no such token.
        """
        if not torch.jit.is_scripting():
            self._check(x)
        layout = self._layout(x.shape[0])
        tokens = self.encoder.encode(self.resample(x / self.scale_uv), layout)
        logits = self.final_layer(self.drop(self.pooling(tokens, layout)))
        if return_features:
            if torch.jit.is_scripting():
                return logits
            return {"features": tokens, "cls_token": None}
        return logits

    def reset_head(self, n_outputs: int) -> None:
        """Replace the final layer by a new one for ``n_outputs`` classes; the configuration follows."""
        self._set_n_outputs(n_outputs)
        weight = self.final_layer.weight
        self.final_layer = nn.Linear(self.pooling.n_features, n_outputs).to(weight.device, weight.dtype)

    @torch.jit.unused
    def _check(self, x: Tensor) -> None:
        channels = self.layout_known_MC.shape[1]
        if x.ndim != 3 or x.shape[1] != channels:
            raise UsageError(
                f"CSBrain: found windows of shape {tuple(x.shape)}, expected (batch, {channels}, n_times)"
            )

    def _layout(self, batch: int) -> Layout:
        return Layout(
            self.layout_montage_B.expand(batch),
            self.layout_positions_MC3,
            self.layout_known_MC,
            self.layout_present_MC,
            self.layout_region_MC,
            self.layout_area_MC,
            self.layout_pool_MRC,
            self.layout_occupied_MR,
            self.layout_neighbours_MCN,
            self.layout_near_MCN,
            self.layout_operators_MJCC,
        )

    @torch.jit.unused
    def _positions(self) -> np.ndarray:
        found = positions_of(self._chs_info, self.n_chans)
        for message in found.warnings():
            warnings.warn(f"CSBrain {message}", stacklevel=3)
        return found.xyz_C3


def _name_of(activation: type[nn.Module]) -> str:
    name = activation.__name__
    if getattr(nn, name, None) is not activation:
        raise UsageError(
            f"CSBrain: found activation={activation!r}, expected a class of torch.nn such as nn.GELU"
        )
    return name
