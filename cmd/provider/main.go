// Command provider is the Crossplane provider for event stores: it makes EventStores and Subscriptions true on Kafka,
// Pulsar and Redis.
package main

import (
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	app := kingpin.New(filepath.Base(os.Args[0]), "Event stores on Kafka, Pulsar and Redis Streams, for Crossplane.").DefaultEnvars()
	o := options{}
	o.bind(app)
	kingpin.MustParse(app.Parse(os.Args[1:]))
	kingpin.FatalIfError(run(ctrl.SetupSignalHandler(), o), "The provider stopped")
}
