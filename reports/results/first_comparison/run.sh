#!/usr/bin/env bash
# Makes this folder again: `bash run.sh DATA WORK`, from an environment with robustbench-char[offline].
# DATA holds conll2003/{train,test}.txt and glue/QNLI/{train,dev}.tsv; WORK gets systems, attacked sets and scores (texts included).
# WORK/numbers gets the records and the manifests of the attacked sets, which are published here with the report on them.
set -euo pipefail
data=$1 work=$2
here=$(cd "$(dirname "$0")" && pwd)
run() { python -m robustbench_char.cli.main "$@"; }

run finetune conll2003 --train "$data/conll2003/train.txt" --base minilm --epochs 2 --lr 1e-4 --seed 0 --output "$work/systems/conll2003"
run finetune qnli --train "$data/glue/QNLI/train.tsv" --base minilm --epochs 3 --lr 1e-4 --seed 0 --output "$work/systems/qnli"

score() { # task, clean file
  local task=$1 clean=$2 name
  name=$(basename "$clean")
  run evaluate "$work/systems/$task" --input "$clean" --output "$work/scores/$task/clean"
  for suite in charbert_2020 drop add swap keyboard; do
    run attack "$task" --input "$clean" --suite "$suite" --seed 1 --output "$work/attacked/$task/$suite"
    run verify "$work/attacked/$task/$suite" --input "$clean"
    run evaluate "$work/systems/$task" --input "$work/attacked/$task/$suite/$name" --output "$work/scores/$task/$suite"
    mkdir -p "$work/numbers/manifests/$task/$suite"
    cp "$work/attacked/$task/$suite/manifest.json" "$work/numbers/manifests/$task/$suite/"
  done
  for scored in "$work/scores/$task"/*; do
    mkdir -p "$work/numbers/records/$task/$(basename "$scored")"
    cp "$scored/record.json" "$scored/counts.parquet" "$work/numbers/records/$task/$(basename "$scored")/"
  done
}
score conll2003 "$data/conll2003/test.txt"
score qnli "$data/glue/QNLI/dev.tsv"
python "$here/../../../tools/publish.py" "$work/numbers" "$here"
