package process

import (
	"runtime"
	"sync"
)

// The kernel sends a parent-death signal when the *thread* that forked ends, not its process. All children are
// therefore forked by one goroutine that holds its thread for as long as this process lives.
var spawner = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

func spawn(start func() error) error {
	result := make(chan error, 1)
	spawner() <- func() { result <- start() }
	return <-result
}
