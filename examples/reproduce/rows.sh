# What the scripts of tables and figures here share; they source it. Each row trains, predicts, suppresses and evaluates.
# Usage of each: sh TABLE.sh FEATURES GT [FOLDER] [words for train ...]
# INPUT=frames trains AFSD and TSA-TAL from pixels, as their papers do: FEATURES is then a frame store (`taltool extract
# --preset` of the model and data set with -frames), or a folder of videos, of which one is made in FOLDER. INIT_rgb,
# INIT_flow and INIT_all name weights for `train --init` of each stream (AFSD: rgb_imagenet.pt, flow_imagenet.pt).
# From the environment come PRESET (default: the table's data set), SPLIT (FILE:NAME), SUBSET to measure on (default: the
# data set's, or validation where SPLIT has no such list), and SUPPRESSION, words for `nms` (default: what `taltool nms`
# has for the model and the preset), and ROWS, the names of the rows to run (the first word of each; default: all).
# A script names its model and preset; the streams that have a network each (STREAMS; none: one for all channels); and,
# where it prints others than these two, its metrics and the words for evaluate.
# A row that is finished is not trained again; one that was killed goes on.
features=${1:?usage: TABLE.sh FEATURES GT [FOLDER] [words for train ...]}
truth=${2:?usage: TABLE.sh FEATURES GT [FOLDER] [words for train ...]}
out=${3:-$(basename "$0" .sh)}
[ $# -lt 3 ] && shift 2 || shift 3
case $preset in *thumos14*) tiou=0.3:0.7:0.1 ;; *) tiou=0.5:0.95:0.05 ;; esac
preset=${PRESET:-$preset}
input=${INPUT:-features}
case $input-$preset in
features-* | frames-*-frames*) ;;
frames-*-paper) preset=${preset%-paper}-frames-paper ;;
frames-*) preset=$preset-frames ;;
*) echo "INPUT=$input: expected features or frames" >&2; exit 2 ;;
esac
# What suppression and the number of classes go by, whatever the input.
plain=$(echo "$preset" | sed 's/-frames//')
# The data set that the preset is of: what it is called by models that do not have its variants.
case $preset in
*thumos14*) dataset=thumos14 subset=testing ;;
*activitynet12*) dataset=activitynet12 subset=validation ;;
*) dataset=activitynet13 subset=validation ;;
esac
if [ -n "${SUBSET:-}" ]; then subset=$SUBSET
elif [ -n "${SPLIT:-}" ]; then
    subset=$(python3 -c 'import json, sys
file, name = sys.argv[1].rsplit(":", 1)
print(sys.argv[2] if sys.argv[2] in json.load(open(file))[name] else "validation")' "$SPLIT" $subset)
fi
metrics=${metrics:-mAP@0.50 average_mAP}
measured=${measured:---tiou $tiou}
suppression=${SUPPRESSION:-${suppression:-}}
if [ -z "$suppression" ]; then
    # A variant of a data set's preset (thumos14-adam, code) has the suppression of that, if none of its own.
    for known in "$model-$plain" "$model-$dataset-$plain" "$model-$dataset"; do
        taltool nms --list-presets | grep -q "^$known: " && suppression="--preset $known" && break
    done
    [ -n "$suppression" ] || { echo "no suppression is known for $model-$preset: set SUPPRESSION to words for nms" >&2; exit 2; }
fi
streams=${STREAMS-${streams:-}}
mkdir -p "$out"
# stored VIDEOS NAME [words for extract]: the frame store FOLDER/NAME.h5 of a folder of videos; any other file as it is.
stored() {
    videos=$1 store=$out/$2.h5; shift 2
    [ -d "$videos" ] || { echo "$videos"; return; }
    taltool extract -q --preset "$model-${preset%-paper}" "$@" "$videos" -o "$store"
    echo "$store"
}
videos=$features
[ "$input" = features ] || features=$(stored "$videos" frames)
# The table's columns twice: what came out, and after a bar what the paper has (- where it has nothing).
printf '%-34s' "$model, $preset"; printf ' %8s' $metrics; printf ' | paper:'; printf ' %8s' $metrics; echo

# complete TITLE PAPER: end where PAPER is not one number, or -, for each of the metrics.
complete() { [ $(echo $2 | wc -w) = $(echo $metrics | wc -w) ] || { echo "$1: '$2' for the columns $metrics" >&2; exit 2; }; }

# score FILE TITLE PAPER: evaluate detections and print a line.
score() {
    complete "$2" "$3"
    taltool evaluate -q ${SPLIT:+--split "$SPLIT"} --subset $subset $measured --format json "$truth" "$1" >"$1.json"
    python3 - "$1.json" "$2" "$3" $metrics <<'PYTHON'
import json, sys
file, title, paper, *names = sys.argv[1:]
metrics = json.load(open(file))["metrics"]
missing = [name for name in names if name not in metrics]
if missing:
    sys.exit(f"{title}: no {missing[0]} of {file.removesuffix('.json')}; do its detections have classes, and does PRESET fit?")
widths = [max(8, len(name)) for name in names]
percent = [metrics[name] * (1 if name == "AUC" else 100) for name in names]  # AUC is in percent already
ours = " ".join(f"{value:{width}.2f}" for value, width in zip(percent, widths))
theirs = " ".join(f"{value:>{width}}" for value, width in zip(paper.split(), widths))
print(f"{title:34} {ours} |        {theirs}")
PYTHON
}

# fit NAME [words for train]: train NAME.safetensors, or NAME-STREAM.safetensors for each of $streams.
# proposals NAME [words for predict]: what it finds, or what those networks find together, their outputs averaged.
# row NAME TITLE PAPER [words for train]: all of it.
fit() {
    name=$1; shift
    for stream in ${streams:-all}; do
        own=$name words=
        [ "$stream" = all ] || own=$name-$stream words="--streams $stream"
        init=$(eval "echo \"\${INIT_$stream:-}\"")
        taltool train -q ${init:+--init "$init"} --resume -m "$model" --preset "$preset" ${SPLIT:+--split "$SPLIT"} -o "$out/$own.safetensors" $words "$@" "$features" "$truth"
    done
}
proposals() {
    name=$1; shift
    for stream in ${streams:-all}; do
        own=$name
        [ "$stream" = all ] || own=$name-$stream
        set -- -m "$out/$own.safetensors" "$@"
    done
    taltool predict -q --subset $subset ${SPLIT:+--split "$SPLIT"} --ground-truth "$truth" "$@" "$features"
}
# named N: give what has no classes the N best of its video (CLASSIFIER, scores for `taltool label --classifier`), or those
# of what another detector found there (DETECTIONS, for `label --from`).
named() {
    if [ -n "${CLASSIFIER:-}" ]; then taltool label -q --replace --classifier "$CLASSIFIER" --top-k "$1"
    else taltool label -q --from "${DETECTIONS:?finds no classes: set CLASSIFIER, or DETECTIONS, to a file of them}"; fi
}
# classed: what gives suppressed proposals their classes, for a script whose model gives none.
classed() { cat; }
if [ "$model-$plain" = afsd-activitynet13 ]; then  # The authors' code finds one class; activitynet13-paper has all.
    : "${CLASSIFIER:?PRESET=activitynet13 finds no classes: set CLASSIFIER, or PRESET=activitynet13-paper}"
    classed() { named 1; }
fi
row() {
    name=$1 title=$2 paper=$3; shift 3
    case " ${ROWS:-$name} " in *" $name "*) ;; *) return ;; esac
    complete "$title" "$paper"
    fit "$name" "$@"
    proposals "$name" | taltool nms -q $suppression | classed >"$out/$name.jsonl"
    score "$out/$name.jsonl" "$title" "$paper"
}
# activations NAME ...: draw what these networks make of VIDEO (default: the subset's first four) over time, and tell how
# that differs inside and outside of instances, over all videos of the subset.
activations() {
    for name in "$@"; do
        set -- "$@" -m "$out/$name${streams:+-$streams}.safetensors"; shift
    done
    picture=$out/$(basename "$0" .sh).png
    taltool plot "$@" ${VIDEO:+--video "$VIDEO"} ${SPLIT:+--split "$SPLIT"} --subset $subset -o "$picture" "$features" "$truth" 2>&1
    echo "$picture"
}
