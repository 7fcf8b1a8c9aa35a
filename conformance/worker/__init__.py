"""One implementation in a process of its own, in any language: what it does to itself costs its case and nothing else.

The protocol is specified in ``docs/worker-protocol.md``. Modules: ``protocol`` (messages), ``serve`` (the served side),
``process`` (a child process and its deadlines), ``client`` (an adapter over all that), ``pool`` (several at once).
"""
