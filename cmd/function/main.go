// Command function is the composition function: it makes the stores and subscriptions that claims ask for, where a Placement
// says.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/crossplane/function-sdk-go"

	"github.com/crossplane-contrib/provider-eventstore/internal/version"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "function-eventstore:", err)
		os.Exit(1)
	}
}

func run() error {
	address := flag.String("address", ":9443", "where gRPC is served")
	certificates := flag.String("tls-certs-dir", os.Getenv("TLS_SERVER_CERTS_DIR"), "folder with tls.crt, tls.key and ca.crt, for mTLS")
	insecureConnections := flag.Bool("insecure", false, "serve without TLS, for development alone")
	debug := flag.Bool("debug", false, "log each run")
	showVersion := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *showVersion {
		fmt.Println(version.Version)
		return nil
	}
	log, err := function.NewLogger(*debug)
	if err != nil {
		return fmt.Errorf("cannot log: %w", err)
	}
	return function.Serve(&runner{log: log},
		function.Listen("tcp", *address), function.MTLSCertificates(*certificates), function.Insecure(*insecureConnections))
}
