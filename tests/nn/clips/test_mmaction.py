"""What the checkpoint of MMAction expects of pixels, and its first filters made for flow."""

import torch

from taltool.nn.clips.mmaction import pixel_statistics, stem_for


def test_the_first_filters_of_both_streams_are_the_colours_and_twice_their_mean() -> None:
    """Filters of R, G, B that are 1, 2 and 6 everywhere: of x and y they are 3."""
    colours = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1, 1).expand(64, -1, 5, 7, 7)
    for channels, expected in ((3, [1, 2, 6]), (2, [3, 3]), (5, [1, 2, 6, 3, 3])):
        found = stem_for(colours, channels)
        assert found.shape == (64, channels, 5, 7, 7)
        assert found[0, :, 0, 0, 0].tolist() == expected


def test_filters_over_flow_stay_as_they_are() -> None:
    flow = torch.rand(64, 2, 5, 7, 7)
    assert stem_for(flow, 2) is flow


def test_every_channel_has_its_statistics() -> None:
    """Of flow 128 is no motion, and the deviation is the mean (58.395 + 57.12 + 57.375) / 3 = 57.63."""
    mean, deviation = pixel_statistics(5)
    assert mean == [123.675, 116.28, 103.53, 128.0, 128.0]
    torch.testing.assert_close(torch.tensor(deviation), torch.tensor([58.395, 57.12, 57.375, 57.63, 57.63]))
    assert pixel_statistics(3) == (mean[:3], deviation[:3])
    assert pixel_statistics(2) == (mean[3:], deviation[3:])
