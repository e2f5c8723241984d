package pulsartest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// knowRaces has the race detector pass over what races.txt lists. It reads that only when a process starts, so this one starts
// anew.
func knowRaces() error {
	const option, variable = "suppressions=", "GORACE"
	_, here, _, _ := runtime.Caller(0)
	list := filepath.Join(filepath.Dir(here), "races.txt")
	known := os.Getenv(variable)
	if !exists(list) || strings.Contains(known, option) { // Without its source there is no list.
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Setenv(variable, fmt.Sprintf(`%s %s"%s"`, known, option, list)); err != nil {
		return err
	}
	return syscall.Exec(program, os.Args, os.Environ())
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
