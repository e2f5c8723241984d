package broker

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
)

// keepPassword returns the password in the file, and makes one at the first call.
func keepPassword(file string) (string, error) {
	if err := writeOnce(file, []byte(rand.Text())); err != nil {
		return "", err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read password: %w", err)
	}
	return string(b), nil
}

func writeOnce(file string, content []byte) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	return writeFile(file, content)
}

// writeFile writes what may hold a secret.
func writeFile(file string, content []byte) error {
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return fmt.Errorf("cannot write %s: %w", filepath.Base(file), err)
	}
	return nil
}
