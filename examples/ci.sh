#!/bin/sh
# Is a new model fit to replace the old one? sh examples/ci.sh GT OLD NEW LEAST
# GT is a ground truth, OLD and NEW are detections of the same videos, LEAST the average mAP to reach (0 to 1).
# Ends with 0 if NEW is whole, reaches LEAST and is not surely worse than OLD; with 1 if it is not good enough; with 2
# or 3, as every command, where words or files are wrong.
set -eu
truth=${1:?usage: ci.sh GT OLD NEW LEAST}
old=${2:?usage: ci.sh GT OLD NEW LEAST}
new=${3:?usage: ci.sh GT OLD NEW LEAST}
least=${4:?usage: ci.sh GT OLD NEW LEAST}

# What makes no sense (ends past the video, copies) is an error here, a remark elsewhere.
taltool check --strict --ground-truth "$truth" "$new"

# Exit status 1 where the number is missed: `set -e` ends the script with it.
taltool evaluate "$truth" "$new" --fail-under "average_mAP=$least"

# The same resampled videos for both: the difference counts if its 95 % interval leaves out 0.
report=$(taltool evaluate "$truth" "$old" "$new" --bootstrap 1000 --format json -q)
upper=$(printf '%s' "$report" | jq '.comparisons[0].metrics.average_mAP | .interval[1]')
printf '%s' "$report" | jq -r '.comparisons[0].metrics.average_mAP |
    "average mAP, new less old: \(.difference * 1000 | round / 1000), 95 % interval \(.interval)"'
if [ "$(printf '%s' "$upper" | jq '. < 0')" = true ]; then
    echo "the new model is worse" >&2
    exit 1
fi
