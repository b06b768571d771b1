// Package nix has the tests of flake.nix and nix/. None needs a NixOS machine:
// every file is parsed, the hash of the vendored modules is computed again, the
// module is evaluated in many configurations with nixpkgs' lib and stand-ins for
// the options of NixOS that it writes to, and what four of them come to is kept
// in testdata and booted in the lab.
//
// Parsing and hashing need Debian's nix-bin, evaluating also a checkout of
// nixpkgs' lib, whose directory is in NIXPKGS_LIB. Where one is lacking a test
// skips, and says so. What is in testdata is booted always; "-update" writes it.
package nix
