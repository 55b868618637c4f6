"""Presets of GSMT, and its settings for anybody's data."""

from taltool.data.facts import DataFacts
from taltool.models.contract import Settings

# The paper trains by SGD with learning rates 1e-4 (ActivityNet) and 1e-5 (THUMOS14), which over its 15 epochs hardly
# moves the weights; its code uses Adam. Ours are Adam's. theta_c and M_2 are prediction.min_score and top_k, the
# "SoftNMS threshold" is the Gaussian's sigma.
PRESETS: dict[str, Settings] = {
    "thumos14": {
        "sampling": {"resize": "rescale", "length": 256},
        "training": {"epochs": 15, "batch_size": 50, "learning_rate": 1e-4, "weight_decay": 1e-5},
        "prediction": {"min_score": 0.1, "top_k": 200},
        "nms": {"sigma": 0.4},
    },
    "activitynet13": {
        "model": {"segments": "span"},
        "sampling": {"resize": "rescale", "length": 100},
        "training": {"epochs": 15, "batch_size": 200, "learning_rate": 4e-4, "weight_decay": 1e-3},
        "prediction": {"min_score": 0.1, "top_k": 200},
        "nms": {"sigma": 0.6},
    },
    # The choices of the published code (for ActivityNet) where they differ from the text. Its threshold 0 takes the
    # whole video.
    "tags": {
        "model": {
            "segments": "span",
            "norm": "post",
            "head_residual": False,
            "mask_head": "tags",
            "mask_axis": "row",
            "mask_loss": "bce",
            "mask_score": "mean",
            "top_snippets": 10,
            "thresholds": (1e-6, 0.2, 0.4, 0.6, 0.8),
        },
        "sampling": {"resize": "rescale", "length": 100},
        "training": {
            "epochs": 20,
            "batch_size": 200,
            "learning_rate": 4e-4,
            "weight_decay": 1e-3,
            "schedule": "step",
            "step_epochs": 10,
            "step_factor": 0.2,
        },
        "prediction": {"min_score": 0.0, "top_k": 100},
        "nms": {"sigma": 0.6},
    },
}


def fitted(facts: DataFacts) -> Settings:
    return {}
