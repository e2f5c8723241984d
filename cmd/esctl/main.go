// Command esctl answers what people ask about event stores: why is my claim not ready (explain), what would change on the
// broker (diff), what would a claim become (render), what is in the store (replay, tail). It changes nothing. A binary called
// kubectl-eventstore is the plugin `kubectl eventstore`.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Exit codes: as diff's.
const (
	exitFound = 1 // There is a cause, a change or a refusal, and it was printed.
	exitError = 2
)

// errFound ends a command whose answer is printed, and is not "all is well".
var errFound = errors.New("found something")

func main() {
	log.SetLogger(logr.Discard()) // Of controller-runtime, which else says that nobody has set one.
	switch err := newCommand(os.Args[0]).ExecuteContext(ctrl.SetupSignalHandler()); {
	case errors.Is(err, errFound):
		os.Exit(exitFound)
	case err != nil:
		fmt.Fprintln(os.Stderr, "esctl:", err)
		os.Exit(exitError)
	}
}
