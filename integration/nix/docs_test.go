package nix

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var nixBlock = regexp.MustCompile("(?s)```nix\n(.*?)```")

// What the documents show can be typed as it stands.
func TestWhatTheDocumentsShowParses(t *testing.T) {
	for _, name := range []string{"nixos.md", "placement.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		blocks := nixBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			t.Errorf("docs/%s shows no Nix", name)
		}
		for _, block := range blocks {
			path := filepath.Join(t.TempDir(), "block.nix")
			write(t, path, block[1])
			output(t, command(t, "nix-instantiate", "--parse", path))
		}
	}
}

// Every option that the documents and the example name is in the reference.
func TestTheDocumentsNameOptionsThatExist(t *testing.T) {
	known, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(?:services\\.modewatch\\.)?((?:settings|gpus|vllm|k3s|studio|boot|capabilities|modes)\\.[a-zA-Z0-9_.-]+)")
	found := 0
	for _, name := range []string{"nixos.md", "placement.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			found++
			if option := strings.TrimRight(m[1], "."); !strings.Contains(string(known), "### `"+option+"`") && !strings.HasSuffix(option, ".service") {
				t.Errorf("docs/%s names %s, which is no option", name, option)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d options are named", found)
	}
}
