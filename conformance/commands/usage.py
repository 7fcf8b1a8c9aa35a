"""Help texts of the commands: purpose, options that need more than a line, and examples."""

from conformance.documentation import page

EXAMPLES = """\
examples:
  conformance run                                   run every shipped case on every installed implementation
  conformance run -i torch.nn.LSTM -k bidirectional
  conformance run -i mylib.py:MyLSTM                check your own implementation
  conformance campaign -i torch.nn.LSTM             run random cases for five minutes, and shrink what deviates
  conformance check cases/mine.yaml                 validate a case file
  conformance power                                 measure which defects the cases detect
  conformance list --implementations
  conformance doctor                                show what is installed and what is missing
  conformance new adapter mylib.LSTM                create a skeleton to drive your own LSTM
  conformance smoke mylib_lstm_adapter.py:MylibLSTMAdapter
  conformance dissect -i mylib.py:MyLSTM            find out what it reads and returns wrongly
  conformance report results.jsonl --junit junit.xml
  conformance compare old.jsonl new.jsonl           show what changed between two runs
  conformance convert model.pt model.weights.h5     convert weights to another framework

exit codes:
  0    every case conforms
  1    a case deviates
  2    the command line or a case file is wrong, or a case cannot be judged
  3    an implementation is not installed, or a file cannot be written
  130  interrupted
"""

RUN = """\
Run cases on implementations, print a summary, and write results.jsonl, report.md and index.html.

Several implementations run at once, one on each available processor. A row of the summary's table appears as soon as an
implementation has finished. Reports list the implementations in a fixed order.

Cases that cannot be judged, because they are too large, amplify rounding errors too much or overflow, are listed and
not run. The exit code is then 2.

examples:
  conformance run                                          all shipped cases, all installed implementations
  conformance run cases/lengths.yaml -i torch.nn.LSTM      one file on one implementation
  conformance run -i mylib.py:MyLSTM -x                    your own adapter, up to the first deviation
  conformance run -k 'bidirectional and not (lengths or dropout)' --dtype float32
  conformance run -j 1                                     one implementation after the other
  conformance run --resume                                 continue an interrupted run
  conformance run --shard 2/5                              the second of five parts, for conformance merge
"""

CHECK = """\
Validate case files, and report all mistakes at once as file:line:column with a suggestion. Cases that cannot be judged
are reported, too. No implementation runs.

examples:
  conformance check mine.yaml
  conformance check --certify mine.yaml             warn about weights that a case hardly checks
"""

LIST = """\
List cases with their features, registered implementations, or known divergences of released versions.

examples:
  conformance list                                  the shipped cases
  conformance list mine.yaml --tag mine             some cases of your own
  conformance list --implementations
  conformance list --divergences
"""

VERSIONS = """\
Run cases on several releases of a package, each in an environment that is created for it, and print a table of features
by release and the cases that changed. All results are in one results file, so that `conformance report`, `compare` and
the page show them like those of several implementations.

Releases come from the index that pip is configured to use. Prereleases, yanked releases and those without a wheel for
this version of Python are left out. If a release does not start with the newest dependencies, it gets those of the day
on which it was released. `conformance doctor` shows the size of the environments, and `--prune` removes them.

examples:
  conformance versions onnxruntime                              the newest 8 releases
  conformance versions 'keras.layers.LSTM[numpy]' --package keras --each-minor --from 3.5
  conformance versions onnxruntime -k clip --from 1.20 --to 1.24
  conformance versions 'keras.layers.LSTM[tensorflow]' --package keras --with 'tensorflow-cpu==2.18.*' --last 4
  conformance versions --check                                  the range that each adapter supports
"""

BISECT = """\
Find the first release with a deviation and the first one without it, by bisection over the releases of a package. Each
step prints the release and its result. A release that cannot run is skipped.

A known divergence is looked for with the cases that it matches: a release has it if it deviates as the entry predicts.
A case deviates if it does not conform. The search assumes that a deviation began once and ended at most once;
`conformance versions` shows every release.

examples:
  conformance bisect onnxruntime-clip
  conformance bisect onnxruntime-clip --write                   write the range into the entry
  conformance bisect cases/clip.yaml::clip-and-lengths -i onnxruntime --package onnxruntime
"""

CAMPAIGN = f"""\
Run random cases on implementations, and shrink each deviation to a minimal case.

The cases combine all options that an implementation supports; every pair of option values occurs. A deviation is run
again in a fresh process before it is reported, and then shrunk: fewest options, smallest sizes, simplest values.
Deviations with the same explanation form a group. For each group, a case file is written to the folder cases of the
output folder. Known divergences do not count as deviations.

results.jsonl has the same format as that of `conformance run`. Ctrl-C ends the campaign; --resume continues it. The
exit code is 1 if a case deviates.

examples:
  conformance campaign -i torch.nn.LSTM --minutes 30
  conformance campaign -i mylib.py:MyLSTM --cases 1000 --seed 7
  conformance campaign --minutes 480 --keep deviations --output nightly
  conformance campaign --minutes 480 --keep deviations --output nightly --resume
  conformance campaign --minutes 480 --dask tcp://scheduler:8786     on a cluster, see {page("clusters.md")}
  conformance campaign -i torch.nn.LSTM --tag peepholes              only the options of these shipped cases vary
  conformance run nightly/cases/torch.nn.LSTM-1.yaml -i torch.nn.LSTM
"""

REPORT = """\
Convert a results file to other formats. Nothing is run or computed again. Without options, print the Markdown report.

examples:
  conformance report results.jsonl                          print the Markdown report
  conformance report results.jsonl --html out/              write the page
  conformance report results.jsonl --junit junit.xml --ctrf ctrf.json --badges badges/
  conformance report results.jsonl --summary "$GITHUB_STEP_SUMMARY" --baseline main.jsonl
  conformance report results.jsonl --annotations            annotate case files in a job of GitHub Actions
  conformance report results.jsonl --csv rows.csv --parquet rows.parquet
"""

MERGE = """\
Combine several results files: the shards of a run, or runs of different implementations. If the files do not fit
together, all reasons are listed and nothing is written. --allow accepts a comma-separated list of reasons to ignore:

  duplicates  a case × implementation is in several files; the last file wins
  gaps        a shard or the rest of an interrupted run is missing; the merged file is then incomplete
  suite       the files were written by different versions of the suite
  cases       the files do not contain the same cases
  packages    an implementation has different versions in different files

examples:
  conformance run --shard 1/3 --output one              on the first of three machines; 2/3 and 3/3 on the others
  conformance merge one/results.jsonl two/results.jsonl three/results.jsonl -o results.jsonl
  conformance merge *.jsonl -o results.jsonl --allow gaps
"""

COMPARE = """\
Show what changed between two runs: cases, error ratios, detected defects and versions. Rows are matched by the content
of the case, not by its name, and by the implementation, with or without the version at the end of its name
(torch.nn.LSTM@2.9).

--fail-on accepts a comma-separated list of conditions. If one is met, the exit code is 1:

  new-fail         a case deviates that did not deviate before
  added-fail       a case deviates that is not in the old run
  new-known        a case now shows a known divergence
  new-unsupported  a case is now unsupported
  not-run          a case ran before and did not run now
  lost-case        a case is only in the old run
  error-ratio>2x   the 99th percentile of a tensor's error ratio, over cases that pass in both runs, grew by more than
                   this factor
  lost-power       the passed cases of an implementation detect fewer defects than before
  provenance       versions, machine, threads or an implementation's description changed
  incomplete       one of the runs is incomplete or invalid
  fixed, new-supported, added-case, other    any other change
  none             never fail; cannot be combined with other conditions

examples:
  conformance compare old.jsonl new.jsonl
  conformance compare old.jsonl new.jsonl --fail-on new-fail,new-unsupported,lost-case,'error-ratio>2x'
  conformance compare old.jsonl new.jsonl --markdown changes.md --json > changes.json
"""

TREND = """\
Show how each implementation changed over several runs, the earliest first: conforming cases, known divergences, the
largest error ratio of cases that pass, its 99th percentile and median, and the number of defects that the passed cases
detect. A star marks a run in which the implementation's packages changed.

examples:
  conformance trend runs/*.jsonl
  conformance trend runs/*.jsonl --json > trend.json
"""

POWER = """\
Measure which defects the cases detect. The catalogue holds several hundred defects: LSTMs that are wrong in one known
way. A case detects a defect that deviates by more than twice the rounding budget. Power is the share of the applicable
defects that some case detects.

The command prints the power by dtype and by feature, the defects that no case detects, the smallest detected size of
each defect that has a size, and the cases that add nothing. The exit code is 1 if no case detects an applicable defect.

examples:
  conformance power                                 the shipped cases
  conformance power mine.yaml                       your own case file
  conformance power --against torch.nn.LSTM         the power that is left without its unsupported options
  conformance power --dtype float16 --matrix kills.csv
  conformance power --published                     compare with the test vectors that others publish
"""

VECTOR_SETS = {
    "plain": "one forward layer",
    "lengths": "one layer in any direction, rows of different lengths",
    "core": "layers, directions, lengths, memory layouts, with and without biases and initial states",
    "sizes": "core with sizes beyond the blocks of kernels",
    "gradients": "sizes with gradients",
    "torch": "gradients with projections and dropout",
    "float32": "all options with gradients",
    "all": "all options with gradients, any dtype",
}
"""Descriptions of the sets in ``conformance.vectors.sets``, which imports NumPy."""

_SET_LINES = "\n".join(f"  {name:9}  {about}" for name, about in VECTOR_SETS.items())

VECTORS = f"""\
Write test vectors for a test suite in any language: cases with their numbers, expected results, the budget of each
element, and the mistakes that each vector detects. {page("vectors.md")} describes the format.

named sets (float32, except for the last one; the first four without gradients):
{_SET_LINES}

examples:
  conformance vectors export --set core --minimal --output vectors/
  conformance vectors export --features plain,bidirectional,gradients --dtype float32 --output vectors/
  conformance vectors export mine.yaml --format safetensors --output vectors/
  conformance vectors export --set core --minimal --format onnx --output onnx-tests/
  conformance vectors check vectors/core.json
"""

DOCTOR = """\
Show what is installed: the suite and its dependencies, thread settings, the cache, and for each registered
implementation the versions found, what is missing and the command that installs it.

No framework is imported. With --deep, each implementation is imported in its own process and describes itself: devices,
threads, kernels. One that crashes or hangs is reported as broken.

With --prune, remove the environments that `-i NAME@package==version`, `versions` and `bisect` created.

The exit code is 0 if at least one implementation can run, and 3 if none can.

examples:
  conformance doctor
  conformance doctor --deep -i torch.nn.LSTM
  conformance doctor --json
"""

SMOKE = """\
Run ten small cases on one implementation, from easy to hard, and stop at the first deviation, which is shown with its
explanation. Unsupported cases are reported and skipped. An implementation without gradients runs only the forward half
of each case. No files are written.

examples:
  conformance smoke torch.nn.LSTM
  conformance smoke mylib_lstm_adapter.py:MylibLSTMAdapter
"""

DISSECT = f"""\
Find out by experiment what an implementation reads and returns wrongly. Small probes with few options each are solved
again and again, with one change at a time. No catalogue of mistakes is needed.

  repeat    Each probe is solved again, at once and after other problems. If a result differs, nothing else is reported.
  inputs    One block at a time is changed: a gate of a parameter; a layer, direction and row of h_0 or c_0; a step and
            row of the input; a cotangent. The results that respond are compared with those of the reference.
  outputs   Wrong blocks are looked for among the correct values: copied, permuted, in another memory order, multiplied,
            zero, or a sum.

An explanation is `verified` if the reference with this change reproduces every tensor within the rounding budget, on
three draws of each failing probe to which the change applies. Anything else is printed as `seen`: it was observed, but
does not explain the failure. A correct implementation reads and returns everything as documented.

With -k, --tag, --dtype or case files, the selected cases run instead of the probes, and their failures are explained:
what is wrong, where, and on which options and sizes it depends. New cases on both sides of the boundary confirm this
condition.

At most 12 lines are printed for each implementation; --json prints everything. {page("experiments.md")} explains the
output. The exit code is 1 if anything wrong is found, and 0 otherwise.

examples:
  conformance dissect -i mylib.py:MyLSTM
  conformance dissect -i torch.nn.LSTM -i torch.nn.LSTMCell
  conformance dissect -i mylib.py:MyLSTM --json
  conformance dissect -i mylib.py:MyLSTM -k cases/core.yaml::lengths    explain this case alone
"""

NEW = """\
Write the skeleton of an adapter with three lines to fill in: build the layer, run it, and differentiate it.

examples:
  conformance new adapter mylib.LSTM                write mylib_lstm_adapter.py
  conformance new adapter mylib.LSTM --output tests/adapter.py
"""

REPRO = """\
Print the stand-alone script that reproduces a known divergence of a released implementation. The script needs only that
framework and NumPy. It prints what it expects and what it got, and exits with 1 if the deviation occurs.

With --issue, run the script and print a report that is ready to file: title, versions on this machine, script, its
output, affected versions and cause. The exit code is 1 if the deviation occurs here, else 0.

examples:
  conformance list --divergences
  conformance repro onnxruntime-clip --issue > report.md
  conformance repro keras-nan-in-padding > repro.py
  conformance repro keras-nan-in-padding | python -
"""

CONVERT = """\
Convert the weights of the LSTMs in a checkpoint: their names, the order of their gates, transposition and biases.

The LSTMs are found by the names and shapes of tensors, in a checkpoint of any size, and shown before anything is
written. What has no exact counterpart is reported, or refused with the reason. No framework is needed, except torch for
.pt, OpenVINO for .xml, TensorFlow for .index and Orbax for its folders.

  framework    reads                         writes
  torch        .pt .pth                      .pt .pth
  keras        .weights.h5 .keras .h5        .weights.h5 .keras
  onnx         .onnx                         .onnx
  flax, nnx    .msgpack, folders of Orbax    .msgpack .orbax
  equinox      .eqx                          .eqx
  paddle       .pdparams                     .pdparams
  openvino     .xml with .bin                .xml with .bin
  block_lstm   .index of TensorFlow 1        .index

.safetensors and .npz hold the arrays of any framework: of these, and of mlx, haiku and block_lstm_v2. The .index of a
TensorFlow 2 checkpoint with the layers of Keras 2 is read, too.

--check builds both layers in the installed frameworks with the converted weights, runs a drawn input, and compares both
with the reference. The file is written only if both conform; otherwise the exit code is 1, or 3 if a framework is
missing.

examples:
  conformance convert model.pt model.weights.h5 --check
  conformance convert model.keras lstm.safetensors --to torch --layer encoder
  conformance convert cells.npz model.onnx --from haiku --stack
"""
