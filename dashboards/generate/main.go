package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate DIRECTORY")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// pages are the dashboards in the order in which a reader meets them.
func pages() []page {
	return []page{overview(), events(), operations(), system(), alerts()}
}

func write(dir string) error {
	for _, p := range pages() {
		d, err := p.build()
		if err != nil {
			return fmt.Errorf("dashboard %s: %w", p.uid, err)
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(d); err != nil {
			return fmt.Errorf("dashboard %s: %w", p.uid, err)
		}
		if err := os.WriteFile(filepath.Join(dir, p.uid+".json"), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
