"""What --help says of each command: what it is for, and examples."""

EXAMPLES = """\
examples:
  conformance run                                   every shipped case on every installed implementation
  conformance run -i torch.nn.LSTM -k bidirectional
  conformance run -i mylib.py:MyLSTM                your own implementation, from a file
  conformance check cases/mine.yaml                 is this case file right?
  conformance power                                 what would these cases catch?
  conformance list --implementations
  conformance doctor                                what is installed, what is missing?
  conformance new adapter mylib.LSTM                a skeleton to drive your own LSTM with
  conformance smoke mylib_lstm_adapter.py:MylibLSTMAdapter
  conformance report results.jsonl --junit junit.xml
  conformance compare old.jsonl new.jsonl           what changed?

exit codes:
  0 conforms   1 a deviation   2 wrong command line or case file   3 implementation or environment missing
  130 interrupted
"""

RUN = """\
Runs cases on implementations, prints a summary, and writes results.jsonl, report.md and index.html.

examples:
  conformance run                                          everything that is shipped
  conformance run cases/lengths.yaml -i torch.nn.LSTM      one file on one implementation
  conformance run -i mylib.py:MyLSTM -x                    your own adapter, up to its first deviation
  conformance run -k 'bidirectional and not (lengths or dropout)' --dtype float32
  conformance run --resume                                 go on where the last run was cut short
  conformance run --shard 2/5                              the second of five parts, for conformance merge
"""

REPORT = """\
Writes a results file again in other formats; nothing is run or computed anew. Without an option it prints the report
in Markdown. Each file is there whole or not at all.

examples:
  conformance report results.jsonl                          Markdown, to standard output
  conformance report results.jsonl --html out/              the page that conformance run writes too
  conformance report results.jsonl --junit junit.xml --ctrf ctrf.json --badges badges/
  conformance report results.jsonl --summary "$GITHUB_STEP_SUMMARY" --baseline main.jsonl
  conformance report results.jsonl --csv rows.csv --parquet rows.parquet
"""

MERGE = """\
Puts several results files into one: the shards of a run, or runs of different implementations. Nothing is merged while
something speaks against it, and all of that is named; --allow takes a list of what does not matter:

  duplicates  a case × implementation is in more than one file; that of the last file is kept
  gaps        a shard, or the rest of a run that was cut short, is missing; the merged file is then incomplete
  suite       the files are from different versions of the suite
  cases       the files are not from the same cases
  packages    an implementation has different versions in different files

examples:
  conformance run --shard 1/3 --output one              likewise 2/3 and 3/3, on three machines
  conformance merge one/results.jsonl two/results.jsonl three/results.jsonl -o results.jsonl
  conformance merge *.jsonl -o results.jsonl --allow gaps
"""

COMPARE = """\
Says what changed between two runs: cases newly failing, fixed, newly unsupported or lost, error ratio, defects seen no
longer, and versions. Rows are matched by what a case is, not by its name, and by the implementation, with or without
the version at its end (torch.nn.LSTM@2.9).

--fail-on takes a list of conditions; when one is met the exit code is 1:

  new-fail         deviates now, and did not before
  added-fail       deviates, and is not in the old run
  new-known        deviates now, as is known
  new-unsupported  was not unsupported before
  not-run          ran before, and did not run
  lost-case        is only in the old run
  error-ratio>2x   the 99th percentile of some tensor, over cases that pass in both runs, grew by more than this factor
  lost-power       an implementation's passed checks see fewer of the defects than before
  provenance       versions, machine, threads or an implementation's description changed
  incomplete       one of the runs was cut short, or is invalid
  fixed, new-supported, added-case, other    other changes; none: never

examples:
  conformance compare old.jsonl new.jsonl
  conformance compare old.jsonl new.jsonl --fail-on new-fail,new-unsupported,lost-case,'error-ratio>2x'
  conformance compare old.jsonl new.jsonl --markdown changes.md --json > changes.json
"""

TREND = """\
Says how each implementation did over several runs, the earliest first: conforming cases, known divergences, the
largest error ratio of cases that pass, its 99th percentile and median, and the number of defects that the passed
checks detect. A star marks a run in which the implementation's packages changed.

examples:
  conformance trend runs/*.jsonl
  conformance trend runs/*.jsonl --json > trend.json
"""

POWER = """\
Measures what the cases would catch. A catalogue of defects, LSTMs that are wrong in one known way each, is run on
every case; a defect is seen where it deviates by more than twice the rounding budget. Power is the share of the
defects that apply which some case sees.

It prints the power by dtype and by feature, the defects that no case detection, the smallest size at which a defect is
seen, and the cases that add nothing. Exit code 1: a defect that applies is seen by no case.

examples:
  conformance power                                 the shipped cases
  conformance power mine.yaml                       is my case file worth running?
  conformance power --against torch.nn.LSTM         what do its unsupported options cost?
  conformance power --dtype float16 --matrix kills.csv
  conformance power --published                     the power of the vectors that others publish
"""

DOCTOR = """\
Says what is installed: the suite and what it is built on, threads, the cache, and for each registered implementation
the versions found, what is missing and the command that installs it.

No framework is imported. With --deep each implementation is imported, in a process of its own, and describes itself:
devices, threads, kernels. One that crashes or hangs is reported as broken.

Exit code 0: at least one implementation can run; 3: none.

examples:
  conformance doctor
  conformance doctor --deep -i torch.nn.LSTM
  conformance doctor --json
"""

SMOKE = """\
Runs ten small cases on one implementation, from easy to hard, up to the first deviation, which is shown with what
explains it. What the implementation does not support is said and passed over; where it has no gradients, only the
forward half of a case is run. Nothing is written.

examples:
  conformance smoke torch.nn.LSTM
  conformance smoke mylib_lstm_adapter.py:MylibLSTMAdapter
"""

NEW = """\
Writes the skeleton of an adapter, with three lines to fill in: build the layer, run it, differentiate it.

examples:
  conformance new adapter mylib.LSTM                writes mylib_lstm_adapter.py
  conformance new adapter mylib.LSTM --output tests/adapter.py
"""

REPRO = """\
Prints the stand-alone script that shows a known divergence of a released implementation. It needs that framework and
NumPy alone, prints what it expects and what it got, and exits with 1 while the deviation is there.

examples:
  conformance list --divergences
  conformance repro keras-nan-in-padding > repro.py
  conformance repro keras-nan-in-padding | python -
"""
