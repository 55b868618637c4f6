#!/bin/sh
# Would more annotated videos help? Trains on 5, 10, 20, ... of the training videos and measures each on the validation
# videos: sh examples/learning-curve.sh FEATURES GT [FOLDER] [words for train ...]
# A curve that still rises says yes; one that is flat says that something else limits the model.
set -eu
features=$1 gt=$2 folder=${3:-learning-curve}
shift "$(($# < 3 ? $# : 3))"
mkdir -p "$folder"

# The first N training videos by name, as splits named after N.
python3 - "$gt" "$folder/splits.json" <<'PYTHON'
import json, sys
database = json.load(open(sys.argv[1]))["database"]
of = {name: sorted(v for v in database if database[v]["subset"] == name) for name in ("training", "validation")}
counts = [n for n in (5, 10, 20, 40, 80, 160) if n < len(of["training"])] + [len(of["training"])]
json.dump({str(n): {**of, "training": of["training"][:n]} for n in counts}, open(sys.argv[2], "w"))
print(*counts, file=open(sys.argv[2] + ".counts", "w"))
PYTHON

for n in $(cat "$folder/splits.json.counts"); do
    split=$folder/splits.json:$n
    taltool train -q --model afsd "$features" "$gt" --split "$split" --seed 0 -o "$folder/$n.safetensors" "$@"
    taltool predict -q --model "$folder/$n.safetensors" "$features" --split "$split" --subset validation --nms |
        taltool evaluate -q "$gt" --split "$split" --tiou 0.3:0.7:0.1 --format csv | sed "s/^/$n videos,/"
done
