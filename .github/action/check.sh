#!/usr/bin/env bash
# Runs the suite or merges the parts of a run, writes what GitHub shows of it, and decides whether the job fails.
# action.yml calls it with the action's inputs in environment variables.
set -euo pipefail

results=$OUTPUT/results.jsonl
echo "results=$results" >> "$GITHUB_OUTPUT"

# Appends the lines of a text to the array `words`, each after an option if one is given.
add_lines() {
    while IFS= read -r line; do
        if [ -n "$line" ]; then words+=(${2:+"$2"} "$line"); fi
    done <<< "$1"
}

code=0
words=()
if [ -n "$MERGE" ]; then
    mapfile -t words < <(compgen -G "$MERGE" | sort)
    if [ ${#words[@]} -eq 0 ]; then
        echo "::error::no file matches the input merge: $MERGE"
        exit 2
    fi
    conformance merge "${words[@]}" -o "$results"
else
    add_lines "$CASES"
    add_lines "$IMPLEMENTATION" -i
    add_lines "$ARGUMENTS"
    add_lines "$SHARD" --shard
    conformance run "${words[@]}" --output "$OUTPUT" || code=$?
fi
if [ ! -f "$results" ]; then exit "$code"; fi

conformance report "$results" --html "$OUTPUT" --junit "$OUTPUT/junit.xml" --badges "$OUTPUT/badges" \
    --summary "$GITHUB_STEP_SUMMARY" ${BASELINE:+--baseline "$BASELINE"} --annotations
if [ -n "$BASELINE" ]; then
    # Deviations of the baseline are known. Errors of the run itself, from 2 on, still fail the job.
    if [ "$code" -le 1 ]; then code=0; fi
    conformance compare "$BASELINE" "$results" --fail-on "$FAIL_ON" || [ "$code" -gt 1 ] || code=$?
fi
exit "$code"
