# What the package is built from. Nothing else of the tree changes its hash: not
# the documents, not the lab, not this module.
[
  "Makefile"
  "cmd"
  "dist"
  "fsm"
  "go.mod"
  "go.sum"
  "guards"
  "integration/standin" # unit tests of cmd/ and sources/ use it
  "internal"
  "sinks"
  "sources"
]
