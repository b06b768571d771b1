# What the package is built from. Nothing else of the tree changes its hash: not
# the documents, not the lab, not this module.
[
  "Makefile"
  "cmd"
  "dist"
  "docs/states.md" # a test holds it and the table together
  "fsm"
  "go.mod"
  "go.sum"
  "guards"
  "integration/standin" # unit tests of cmd/ and sources/ use it
  "internal"
  "sinks"
  "sources"
]
