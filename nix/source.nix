# What the package is built from. Nothing else of the tree changes its hash: not
# the documents, not the lab, not this module.
[
  "Makefile"
  "cmd"
  "dist"
  # Tests hold these and the program together.
  "docs/desktop.md"
  "docs/journal.md"
  "docs/states.md"
  "docs/states.svg"
  "docs/timeline.svg"
  "fsm"
  "go.mod"
  "go.sum"
  "guards"
  "integration/standin" # unit tests of cmd/ and sources/ use it
  "internal"
  "sinks"
  "sources"
]
