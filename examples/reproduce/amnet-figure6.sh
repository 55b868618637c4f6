#!/bin/sh
# AMNet, Figure 6: losses of the matching score at all tIoUs (THUMOS14). The paper draws curves; only the numbers of L2
# are in a table. It says that L2 is best. BCE compares probabilities, so the score is a sigmoid there.
# sh examples/reproduce/amnet-figure6.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=amnet preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row l2 'L2' '76.7 73.1 66.8 57.2 42.7 63.3' "$@"
row l1 'L1' '- - - - - -' --set model.match_loss=l1 "$@"
row smooth-l1 'smooth L1' '- - - - - -' --set model.match_loss=smooth_l1 "$@"
row bce 'BCE' '- - - - - -' --set model.match_loss=bce --set model.match_act=sigmoid "$@"
python3 - "$out" <<'PYTHON'
import json, sys
from matplotlib import pyplot
for name, title in (("l2", "L2"), ("l1", "L1"), ("smooth-l1", "smooth L1"), ("bce", "BCE")):
    found = json.load(open(f"{sys.argv[1]}/{name}.jsonl.json"))["metrics"].items()
    curve = [(float(key[4:]), 100 * value) for key, value in found if key.startswith("mAP@")]
    pyplot.plot(*zip(*curve), marker="o", label=title)
pyplot.xlabel("tIoU")
pyplot.ylabel("mAP (%)")
pyplot.legend()
pyplot.savefig(f"{sys.argv[1]}/figure6.png")
PYTHON
echo "$out/figure6.png"
