# What the table scripts here share; they source it. Each row trains, predicts, suppresses and evaluates.
# Usage of each: sh TABLE.sh FEATURES GT [FOLDER] [words for train ...]
# PRESET (default: the table's data set), SPLIT (FILE:NAME), SIGMA of the suppression, or all of its words as SUPPRESSION,
# come from the environment. A table of other numbers than mAP names its metrics and the words for evaluate.
# A row that is finished is not trained again; one that was killed goes on.
features=${1:?usage: TABLE.sh FEATURES GT [FOLDER] [words for train ...]}
truth=${2:?usage: TABLE.sh FEATURES GT [FOLDER] [words for train ...]}
out=${3:-$(basename "$0" .sh)}
[ $# -lt 3 ] && shift 2 || shift 3
preset=${PRESET:-$preset}
sigma=${SIGMA:-$sigma}
case $preset in thumos14) subset=testing tiou=0.3:0.7:0.1 ;; *) subset=validation tiou=0.5:0.95:0.05 ;; esac
metrics=${metrics:-mAP@0.50 average_mAP}
measured=${measured:---tiou $tiou}
suppression=${SUPPRESSION:-${suppression:---sigma $sigma --top-k 200}}
mkdir -p "$out"
printf '%-34s' "$model, $preset"; printf ' %11s' $metrics; echo "   paper: $metrics"

# score FILE TITLE PAPER: evaluate detections and print a line.
score() {
    taltool evaluate -q ${SPLIT:+--split "$SPLIT"} --subset $subset $measured --format json "$truth" "$1" >"$1.json"
    python3 - "$1.json" "$2" "$3" $metrics <<'PYTHON'
import json, sys
file, title, paper, *names = sys.argv[1:]
metrics = json.load(open(file))["metrics"]
found = " ".join(f"{metrics[name] * (1 if name == 'AUC' else 100):11.2f}" for name in names)  # AUC is in percent
print(f"{title:34} {found}   {paper}")
PYTHON
}

# fit NAME [words for train]: train NAME.safetensors. proposals NAME [words for predict]: what it finds.
# row NAME TITLE PAPER [words for train]: all of it.
fit() { name=$1; shift; taltool train -q --resume -m "$model" --preset "$preset" ${SPLIT:+--split "$SPLIT"} -o "$out/$name.safetensors" "$@" "$features" "$truth"; }
proposals() { name=$1; shift; taltool predict -q -m "$out/$name.safetensors" --subset $subset ${SPLIT:+--split "$SPLIT"} --ground-truth "$truth" "$@" "$features"; }
# classed: what gives suppressed proposals their classes, for a script whose model gives none.
classed() { cat; }
row() {
    name=$1 title=$2 paper=$3; shift 3
    fit "$name" "$@"
    proposals "$name" | taltool nms -q $suppression | classed >"$out/$name.jsonl"
    score "$out/$name.jsonl" "$title" "$paper"
}
