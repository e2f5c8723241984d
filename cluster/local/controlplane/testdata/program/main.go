// Command program stands in for a provider: it does nothing, and says that it is ready.
package main

import (
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatalf("usage: %s ADDRESS", os.Args[0])
	}
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	s := &http.Server{Addr: os.Args[1], ReadHeaderTimeout: time.Second}
	log.Fatal(s.ListenAndServe())
}
