#!/bin/sh
# GSMT, Table 3: parameters in millions and operations of a video in G, beside BMN, counted by torch (a product and a
# sum are two). Nothing is trained. The paper's features are two-stream ones, 400 channels; it has G-TAD too: 9.5 M,
# 97.2 G. BMN here does not carry out its convolution over the 32 points of a proposal, but a sum of as much (which is
# not counted); the row "as published" counts its layers as its paper and code have them. `python3` has to be the one
# that has taltool. BMN's words for train come from the environment, as BMN='--set ...'.
# sh examples/reproduce/gsmt-table3.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
metrics='params_M ops_G'
. "$(dirname "$0")/rows.sh"

taltool train -q --model bmn --preset "$dataset" ${BMN:-} --show-config >"$out/bmn.toml"
taltool train -q --model gsmt --preset "$preset" "$@" --show-config >"$out/gsmt.toml"
python3 - "$out/bmn.toml" "$out/gsmt.toml" "$features" "$truth" <<'PYTHON'
import sys

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from taltool.data.annotations import read_ground_truth
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.experiment.configuration import build, read_config
from taltool.models import MODELS


class PublishedBMN(nn.Module):
    """The convolutions of BMN (Lin et al., ICCV 2019), over a map of T x T proposals with 32 points each."""

    def __init__(self, channels, length, groups):
        super().__init__()
        self.length = length
        self.base = nn.Sequential(
            nn.Conv1d(channels, 256, 3, padding=1, groups=groups), nn.Conv1d(256, 256, 3, padding=1, groups=groups)
        )
        self.starts, self.ends = (
            nn.Sequential(nn.Conv1d(256, 256, 3, padding=1, groups=groups), nn.Conv1d(256, 1, 1)) for _ in range(2)
        )
        self.reduced = nn.Conv1d(256, 256, 3, padding=1)
        self.collapsed = nn.Conv3d(256, 512, (32, 1, 1))
        wide = (nn.Conv2d(128, 128, 3, padding=1) for _ in range(2))
        self.map = nn.Sequential(nn.Conv2d(512, 128, 1), *wide, nn.Conv2d(128, 2, 1))

    def forward(self, features, mask):
        base = self.base(features)
        points = self.reduced(base)[..., None, None, None].mean(2).expand(-1, -1, 32, self.length, self.length)
        return self.starts(base), self.ends(base), self.map(self.collapsed(points).squeeze(2))


def counted(network, channels, length, title, paper):
    device = next(network.parameters()).device
    given = torch.zeros(1, channels, length, device=device), torch.ones(1, length, dtype=torch.bool, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(*given)
    millions, giga = sum(each.numel() for each in network.parameters()) / 1e6, counter.get_total_flops() / 1e9
    print(f"{title:34} {millions:8.2f} {giga:8.2f} |        {paper[0]:>8} {paper[1]:>8}")


*files, features, truth_file = sys.argv[1:]
truth = read_ground_truth(truth_file)
with FeatureFile(features, ClockOptions(), truth.durations) as file:
    channels = file.shape(file.ids[0])[1]
for path, paper in zip(files, [("5.0", "91.2"), ("2.9", "0.6")]):
    name, layer = read_config(path)
    settings = build(name, MODELS.load(name).Config, [layer])
    length = settings.sampling.length
    if name == "bmn":
        with torch.device("meta"):
            published = PublishedBMN(channels, length, settings.model.groups)
        counted(published, channels, length, "BMN, as published", paper)
    network = MODELS.load(name)(settings.model, channels, len(truth.names.names), length)
    counted(network, channels, length, *(("BMN, as here", ("-", "-")) if name == "bmn" else ("GSMT", paper)))
PYTHON
