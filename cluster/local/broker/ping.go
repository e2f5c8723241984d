package broker

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// Ping reports whether the server answers its administrator: it accepts connections, has loaded its data and its users.
// It speaks the protocol itself, so that this package needs no client library.
func (r *Redis) Ping(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s %s\r\nPING\r\n", r.AdminUser, r.AdminPassword); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	for _, want := range []string{"+OK", "+PONG"} {
		got, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if got = strings.TrimSpace(got); got != want {
			return fmt.Errorf("redis answered %q", got)
		}
	}
	return nil
}
