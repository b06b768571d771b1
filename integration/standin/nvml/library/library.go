// Package library builds the stand-in of NVML for tests: nvml.c of the folder
// above, by gcc, against the header that go-nvml ships. What such a library says
// is in the text file State beside it; nvml.c tells the form.
package library

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Name is the name that drivers give the library.
const Name = "libnvidia-ml.so.1"

// State is the file that says what a library is to say.
func State(library string) string { return library + ".state" }

// ErrNoCompiler says that there is no gcc.
var ErrNoCompiler = errors.New("there is no gcc to build the stand-in of NVML by")

// Build makes dir/Name and returns its path; defines are macros such as
// WITHOUT_COMPUTE. It has to be called below the module's directory.
func Build(ctx context.Context, dir string, defines ...string) (string, error) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		return "", ErrNoCompiler
	}
	header, err := folder(ctx, "github.com/NVIDIA/go-nvml/pkg/nvml")
	if err != nil {
		return "", err
	}
	own, err := folder(ctx, "github.com/modewatch/modewatch/integration/standin/nvml/library")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the folder of the stand-in of NVML: %w", err)
	}
	out := filepath.Join(dir, Name)
	args := []string{"-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-DNVML_NO_UNVERSIONED_FUNC_DEFS", "-I", header}
	for _, d := range defines {
		args = append(args, "-D"+d)
	}
	args = append(args, "-o", out, filepath.Join(own, "..", "nvml.c"), "-ldl")
	if text, err := exec.CommandContext(ctx, gcc, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the stand-in of NVML: %w\n%s", err, text)
	}
	return out, nil
}

// Program builds the program modewatch-gpu into a file.
func Program(ctx context.Context, file string) error {
	if _, err := exec.LookPath("gcc"); err != nil {
		return ErrNoCompiler
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags", "-extldflags=-Wl,-z,lazy", "-o", file, "github.com/modewatch/modewatch/cmd/modewatch-gpu")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if os.Getenv("CGO_CFLAGS") == "" {
		cmd.Env = append(cmd.Env, "CGO_CFLAGS=-O2 -Wno-deprecated-declarations") // as the Makefile has it
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build modewatch-gpu: %w\n%s", err, text)
	}
	return nil
}

// folder is the directory of a package, be its module vendored or not.
func folder(ctx context.Context, pkg string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-find", "-f", "{{.Dir}}", pkg).Output()
	dir := strings.TrimSpace(string(out))
	if err == nil && dir == "" {
		err = errors.New("it is not downloaded")
	}
	if err != nil {
		return "", fmt.Errorf("cannot find the package %s: %w", pkg, err)
	}
	return dir, nil
}
