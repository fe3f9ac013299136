#!/usr/bin/env bash
# Does a grid that `cargo xtask reproduce ... --slurm` has prepared, on a Slurm that is for this alone, and disturbs it: of the tasks at work
# one gets SIGTERM, one SIGKILL, one is requeued, and the node is drained and resumed; again and again, until each has been
# done as often as asked for. Then it submits what is left until every run has its record. What comes out must be what comes
# out without Slurm: compare OUT/results.json.
#   disturb.sh OUT [TIMES] [SECONDS between two]
set -euo pipefail
out=$(realpath "$1"); times=${2:-1}; pause=${3:-20}
node=$(sinfo --noheader --Node --format=%N | head -n 1)
say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }
submit() { job=$(sbatch --parsable "$out/slurm/array.sh"); say "submitted $job"; }
running() { squeue --noheader --array --states=RUNNING --format=%i | shuf -n 1; }
missing() {
    local spec missing=0
    for spec in "$out"/specs/*.toml; do
        [ -e "$out/runs/$(basename "$spec" .toml)/record.json" ] || missing=$((missing + 1))
    done
    echo "$missing"
}
# Requeued tasks wait two minutes by themselves.
hasten() { squeue --noheader --array --states=PENDING --format=%i | xargs --no-run-if-empty -I{} scontrol update job={} StartTime=now || true; }

submit
for ((round = 0; round < times; round++)); do
    for what in SIGTERM SIGKILL requeue drain; do
        sleep "$pause"
        task=$(running)
        if [ -z "$task" ]; then
            [ "$(missing)" -gt 0 ] || break 2
            submit
            sleep "$pause"
            task=$(running)
        fi
        [ -n "$task" ] || continue
        say "$what: $task, $(missing) runs to go"
        # A task may end while it is disturbed.
        case $what in
            SIG*) scancel --signal="${what#SIG}" --full "$task" || true ;;
            requeue) scontrol requeue "$task" || true; sleep 1; hasten ;;
            drain) scontrol update node="$node" state=drain reason=disturbed; sleep 5; scontrol update node="$node" state=resume ;;
        esac
    done
done
for ((again = 0; again < 10; again++)); do
    while [ -n "$(squeue --noheader --format=%i)" ]; do hasten; sleep 2; done
    [ "$(missing)" -gt 0 ] || { say "all runs are done"; exit 0; }
    submit
done
say "$(missing) runs are not done"
exit 1
