package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports below the range from which the kernel takes the local ports of outgoing connections: one that was free a moment
// ago would else be taken by any client of this machine. They also leave room for Redis Cluster's bus (port + 10000).
const (
	firstPort = 20000
	lastPort  = 32000
)

// FreePorts returns n different ports that were free on 127.0.0.1 just now.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	// All stay open until the last is found, so that none is found twice.
	for range 100 * n {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", Loopback(port))
		if err != nil {
			continue
		}
		defer l.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("cannot find %d free ports on 127.0.0.1 between %d and %d", n, firstPort, lastPort)
}

// Loopback returns the address of a port on 127.0.0.1.
func Loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
